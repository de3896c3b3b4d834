/** Idioms of programs, in Python because it has the system calls. */
import type {Script} from './applications.ts';

/** `refused(number, f, *a)`: f fails with just that errno. */
const prelude = `
import ctypes, errno, fcntl, mmap, os, socket, stat, struct, subprocess, sys, threading, time
def refused(number, f, *a, **k):
    try: f(*a, **k)
    except OSError as e: assert e.errno == number, e
    else: raise AssertionError('not refused with ' + errno.errorcode[number])
def read(name):
    with open(name, 'rb') as f: return f.read()
def children(*bodies):
    pids = []
    for body in bodies:
        pid = os.fork()
        if pid == 0:
            try: body()
            except BaseException as e: print(repr(e), file=sys.stderr, flush=True); os._exit(1)
            os._exit(0)
        pids.append(pid)
    for pid in pids: assert os.waitpid(pid, 0)[1] == 0
`;
const script = (text: string, more: Partial<Script> = {}): Script => ({needs: [], ...more, text: `${prelude}${text}`});

export const pythonScripts: Readonly<Record<string, Script>> = {
  'shared memory maps': script(`
size = 600_000
f = os.open('m', os.O_RDWR | os.O_CREAT); os.ftruncate(f, size)
m = mmap.mmap(f, size)
for at in range(0, size - 4, 3333): m[at:at + 4] = struct.pack('<I', at)
m.flush()
seen = read('m')
assert all(struct.unpack_from('<I', seen, at)[0] == at for at in range(0, size - 4, 3333))
os.pwrite(f, b'by write', 8190); assert m[8190:8198] == b'by write'
m[70_000:70_006] = b'by map'; assert os.pread(f, 6, 70_000) == b'by map'
def child(): m[5:10] = b'child'
children(child); assert m[5:10] == b'child'
own = mmap.mmap(f, size, flags=mmap.MAP_PRIVATE); own[5:10] = b'alone'; assert m[5:10] == b'child'
m.close(); os.close(f); assert read('m')[5:10] == b'child' and read('m')[70_000:70_006] == b'by map'`),
  'a program that runs is busy': script(`
import shutil
shutil.copy(shutil.which('sleep'), 'nap'); p = subprocess.Popen(['./nap', '20'])
refused(errno.ETXTBSY, open, 'nap', 'r+b'); p.kill(); p.wait(); open('nap', 'r+b').close()`),
  'locks of ranges': script(`
open('n', 'w').write('0')
def add():
    with open('n', 'r+') as f:
        for _ in range(30):
            fcntl.lockf(f, fcntl.LOCK_EX); f.seek(0); n = int(f.read()); f.seek(0); f.write(str(n + 1)); f.flush(); fcntl.lockf(f, fcntl.LOCK_UN)
children(add, add, add); assert read('n') == b'90'
f = open('n', 'r+'); fcntl.lockf(f, fcntl.LOCK_EX, 50, 1000)
def other():
    with open('n', 'r+') as g:
        refused(errno.EAGAIN, fcntl.lockf, g, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 1049); fcntl.lockf(g, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 1050)
        held = struct.unpack('hhqqi', fcntl.fcntl(g, fcntl.F_GETLK, struct.pack('hhqqi', fcntl.F_WRLCK, 0, 0, 0, 0))); assert held[2:5] == (1000, 50, os.getppid()), held
children(other); fcntl.lockf(f, fcntl.LOCK_UN, 20, 1010)
def between():
    with open('n', 'r+') as g: fcntl.lockf(g, fcntl.LOCK_EX | fcntl.LOCK_NB, 20, 1010); refused(errno.EAGAIN, fcntl.lockf, g, fcntl.LOCK_SH | fcntl.LOCK_NB, 1, 1035)
children(between)
ofd = [os.open('n', os.O_RDWR) for _ in range(2)]; lock = struct.pack('hhqqi', fcntl.F_WRLCK, 0, 5000, 9, 0)
fcntl.fcntl(ofd[0], fcntl.F_OFD_SETLK, lock); refused(errno.EAGAIN, fcntl.fcntl, ofd[1], fcntl.F_OFD_SETLK, lock); os.close(ofd[0]); fcntl.fcntl(ofd[1], fcntl.F_OFD_SETLK, lock)`),
  'appending from several processes': script(`
def body(k):
    def run():
        f = os.open('log', os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        for n in range(200): assert os.write(f, b'%d %04d ' % (k, n) + b'.' * 72 + b'\\n') == 80
    return run
children(*map(body, range(3)))
lines = read('log').splitlines(); assert len(lines) == 600 and all(len(l) == 79 for l in lines)
for k in range(3): assert [int(l[2:6]) for l in lines if l[0:1] == b'%d' % k] == list(range(200))`),
  'files without a name': script(`
f = os.open('f', os.O_RDWR | os.O_CREAT | os.O_EXCL); os.write(f, b'first'); os.unlink('f'); assert os.fstat(f).st_nlink == 0 and os.listdir('.') == []
g = os.open('f', os.O_RDWR | os.O_CREAT | os.O_EXCL); os.write(g, b'second'); os.write(f, b' goes on'); assert os.pread(f, 99, 0) == b'first goes on'
os.ftruncate(f, 3); os.fchmod(f, 0o600); os.fsync(f); assert os.fstat(f).st_size == 3; os.close(f); os.close(g); assert read('f') == b'second'
# The one that is to appear whole: O_TMPFILE, or what programs do where it is refused.
try: t = os.open('.', os.O_TMPFILE | os.O_RDWR)
except OSError as e: assert e.errno in (errno.EOPNOTSUPP, errno.EISDIR), e
else:
    os.write(t, b'whole'); assert ctypes.CDLL(None).linkat(-100, b'/proc/self/fd/%d' % t, -100, b'appeared', 0x400) == 0; assert read('appeared') == b'whole'`),
  'renaming what is open': script(`
f = os.open('a', os.O_RDWR | os.O_CREAT); os.write(f, b'1'); n = os.fstat(f).st_ino
os.rename('a', 'b'); os.write(f, b'2'); assert read('b') == b'12' and os.stat('b').st_ino == n
old = os.open('c', os.O_RDWR | os.O_CREAT); os.write(old, b'old'); os.rename('b', 'c'); assert read('c') == b'12' and os.pread(old, 9, 0) == b'old' and os.fstat(old).st_nlink == 0
os.makedirs('d/e'); os.rename('c', 'd/e/f'); os.rename('d', 'g'); os.write(f, b'3'); os.close(f); assert read('g/e/f') == b'123'
refused(errno.EINVAL, os.rename, 'g', 'g/e/inside'); refused(errno.ENOTEMPTY, os.rmdir, 'g'); os.mkdir('h'); os.rename('h', 'i'); refused(errno.ENOTEMPTY, os.rename, 'i', 'g')
rename = ctypes.CDLL(None, use_errno=True).renameat2
open('x', 'w').close(); assert rename(-100, b'x', -100, b'g', 1) == -1 and ctypes.get_errno() == errno.EEXIST; assert rename(-100, b'x', -100, b'y', 1) == 0`),
  'access control lists': script(`
access, default, none = 'system.posix_acl_access', 'system.posix_acl_default', 0xffffffff
def acl(*entries): return struct.pack('<I', 2) + b''.join(struct.pack('<HHI', *entry) for entry in entries)
def full(owner, user, group, mask, other): return acl((1, owner, none), (2, user, 4321), (4, group, none), (8, group, 777), (16, mask, none), (32, other, none))
def mode(name): return stat.S_IMODE(os.stat(name).st_mode)
def as_other(body, groups=()):
    def run(): os.setgroups(groups); os.setgid(4321); os.setuid(4321); body()
    children(run)
os.umask(0o022); open('f', 'w').write('text'); os.chmod('f', 0o640); as_other(lambda: refused(errno.EACCES, open, 'f')); refused(errno.ENODATA, os.getxattr, 'f', access)
os.setxattr('f', access, full(6, 4, 0, 7, 0)); assert mode('f') == 0o670 and os.getxattr('f', access) == full(6, 4, 0, 7, 0) and access in os.listxattr('f')
as_other(lambda: (read('f'), refused(errno.EACCES, open, 'f', 'a'))); os.setxattr('f', access, full(6, 6, 0, 4, 0)); as_other(lambda: (read('f'), refused(errno.EACCES, open, 'f', 'a')))
os.chmod('f', 0o660); assert os.getxattr('f', access) == full(6, 6, 0, 6, 0); as_other(lambda: open('f', 'a').write('more')); assert read('f') == b'textmore'
os.chmod('f', 0o600); as_other(lambda: refused(errno.EACCES, open, 'f')); os.chmod('f', 0o2660); os.chown('f', 0, 55)
os.setxattr('f', access, acl((1, 6, none), (4, 4, none), (8, 4, 99), (16, 7, none), (32, 0, none))); assert mode('f') & 0o777 == 0o670
as_other(lambda: refused(errno.EACCES, open, 'f')); as_other(lambda: read('f'), [99])
as_other(lambda: (refused(errno.EPERM, os.setxattr, 'f', access, full(7, 7, 7, 7, 7)), refused(errno.EPERM, os.removexattr, 'f', access)), [99])
os.setxattr('f', access, acl((1, 6, none), (4, 4, none), (32, 4, none))); assert mode('f') & 0o777 == 0o644; refused(errno.ENODATA, os.getxattr, 'f', access)
refused(errno.EINVAL, os.setxattr, 'f', access, acl((1, 6, none))[:-1]); refused(errno.EINVAL, os.setxattr, 'f', access, acl((1, 6, none), (2, 4, 5), (4, 4, none), (32, 4, none)))
refused(errno.EACCES, os.setxattr, 'f', default, full(7, 7, 7, 7, 7))
os.mkdir('d', 0o700); os.setxattr('d', default, full(7, 7, 5, 7, 0)); assert mode('d') == 0o700 and default in os.listxattr('d') and access not in os.listxattr('d')
os.setxattr('d', access, full(7, 7, 0, 7, 0)); os.umask(0o077); os.close(os.open('d/f', os.O_CREAT | os.O_WRONLY, 0o664)); os.mkdir('d/s', 0o775); os.mkfifo('d/p', 0o666)
assert mode('d/f') == 0o660 and os.getxattr('d/f', access) == full(6, 7, 5, 6, 0) and default not in os.listxattr('d/f') and mode('d/p') == 0o660
assert mode('d/s') == 0o770 and os.getxattr('d/s', access) == full(7, 7, 5, 7, 0) and os.getxattr('d/s', default) == full(7, 7, 5, 7, 0)
t = os.open('d', os.O_TMPFILE | os.O_RDWR, 0o640); ctypes.CDLL(None).linkat(-100, b'/proc/self/fd/%d' % t, -100, b'd/t', 0x400); assert mode('d/t') == 0o640 and os.getxattr('d/t', access) == full(6, 7, 5, 4, 0)
def inside(): open('d/s/mine', 'w').write('m'); os.symlink('x', 'd/s/link'); os.listdir('d/s')
as_other(inside); s = os.stat('d/s/mine'); assert s.st_uid == 4321 and stat.S_IMODE(s.st_mode) == 0o660; as_other(lambda: refused(errno.EPERM, os.chmod, 'd/f', 0o666))
os.umask(0o022); os.removexattr('d', default); os.mkdir('d/plain', 0o777); assert mode('d/plain') == 0o755 and default not in os.listxattr('d/plain'); os.removexattr('d', access)
as_other(lambda: refused(errno.EACCES, os.listdir, 'd'))
os.rename('d/f', 'g'); assert os.getxattr('g', access) == full(6, 7, 5, 6, 0); os.link('g', 'h'); os.chmod('h', 0o600); assert os.getxattr('g', access) == full(6, 7, 5, 0, 0)
open('g', 'w').write('new'); assert os.getxattr('g', access) == full(6, 7, 5, 0, 0); subprocess.run(['sed', '-i', 's/new/old/', 'g'], check=True); assert mode('g') == 0o600 and read('g') == b'old'`, {needsRoot: true}),
  'files made without a name': script(`
libc = ctypes.CDLL(None, use_errno=True)
def link(f, name):
    if libc.linkat(-100, b'/proc/self/fd/%d' % f, -100, name.encode(), 0x400) != 0: raise OSError(ctypes.get_errno(), name)
f = os.open('.', os.O_TMPFILE | os.O_RDWR, 0o640); assert os.fstat(f).st_nlink == 0 and os.listdir('.') == []; os.write(f, b'one'); os.pwrite(f, b'far', 100_000); inode = os.fstat(f).st_ino
again = os.open('/proc/self/fd/%d' % f, os.O_RDONLY); assert os.pread(again, 3, 100_000) == b'far' and os.fstat(again).st_ino == inode; os.close(again)
os.fchmod(f, 0o604); os.fsync(f); open('there', 'w').close(); refused(errno.EEXIST, link, f, 'there'); link(f, 'n'); s = os.stat('n')
assert (s.st_ino, s.st_size, s.st_nlink, stat.S_IMODE(s.st_mode)) == (inode, 100_003, 1, 0o604)
os.pwrite(f, b'two', 0); assert read('n')[:4] == b'two\\0'; link(f, 'm'); assert os.stat('n').st_nlink == 2; os.close(f); os.unlink('m'); assert read('n')[:3] == b'two'
e = os.open('.', os.O_TMPFILE | os.O_WRONLY | os.O_EXCL); os.write(e, b'x'); refused(errno.ENOENT, link, e, 'e'); os.close(e); e = os.open('.', os.O_TMPFILE | os.O_WRONLY); link(e, 'empty')
os.close(e); assert read('empty') == b''
g = os.open('.', os.O_TMPFILE | os.O_RDWR); m = mmap.mmap(-1, 10); os.ftruncate(g, 5000); m = mmap.mmap(g, 5000); m[7:9] = b'mm'; os.close(g); m.flush(); m.close()
assert sorted(os.listdir('.')) == ['empty', 'n', 'there']`),
  'exchanging names': script(`
libc = ctypes.CDLL(None, use_errno=True)
def exchange(a, b, flags=2):
    if libc.renameat2(-100, a.encode(), -100, b.encode(), flags) != 0: raise OSError(ctypes.get_errno(), a)
def write(name, text): open(name, 'w').write(text)
write('a', 'a'); write('b', 'b'); os.mkdir('d'); write('d/c', 'c'); inode = os.stat('a').st_ino
refused(errno.EEXIST, exchange, 'a', 'b', 1); refused(errno.ENOENT, exchange, 'a', 'none'); refused(errno.EINVAL, exchange, 'a', 'e', 4); refused(errno.EINVAL, exchange, 'd', 'd/c')
f = os.open('a', os.O_RDWR); exchange('a', 'b'); assert read('a') == b'b' and read('b') == b'a' and os.stat('b').st_ino == inode
os.write(f, b'open'); os.close(f); assert read('b') == b'open' and read('a') == b'b'; exchange('a', 'd/c'); assert read('a') == b'c' and read('d/c') == b'b'
os.link('a', 'l'); exchange('l', 'b'); assert read('a') == b'c' and read('b') == b'c' and read('l') == b'open' and os.stat('a').st_nlink == 2; exchange('a', 'b'); assert read('a') == b'c'
os.symlink('a', 's'); exchange('s', 'b'); assert os.readlink('b') == 'a' and os.stat('s').st_nlink == 2; assert sorted(os.listdir('.')) == ['a', 'b', 'd', 'l', 's']
os.makedirs('e/f/g'); write('e/f/g/h', 'h'); write('e/x', 'x'); held = os.open('e/x', os.O_RDONLY)
try: exchange('d', 'e'); trees = True
except OSError as e: assert e.errno == errno.EINVAL; trees = False
if trees:
    assert read('d/f/g/h') == b'h' and read('e/c') == b'b' and os.pread(held, 9, 0) == b'x' and sorted(os.listdir('d')) == ['f', 'x'] and os.stat('d').st_nlink == 3 and os.stat('e').st_nlink == 2
    exchange('a', 'e'); assert read('e') == b'c' and read('a/c') == b'b'; exchange('e', 'd/f'); assert read('d/f') == b'c' and read('e/g/h') == b'h' and os.stat('d').st_nlink == 2
    write('e/new', 'new'); assert sorted(os.listdir('e')) == ['g', 'new']; exchange('e', 'a'); assert sorted(os.listdir('a')) == ['g', 'new'] and read('a/g/h') == b'h'`),
  'names of all kinds': script(`
names = [b'two words', b'line\\nbreak', b'\\xff\\xfe', b'\\xc3\\xa4', b'a\\xcc\\x88', b'CASE', b'case', b'-n', b'%41', b'.dot', b'*', b'a:b', b'back\\\\slash', b'~', b'end.', b'w' * 255, '\\u4e2d'.encode() * 85]
for n in names: open(n, 'wb').write(n)
assert sorted(os.listdir(b'.')) == sorted(names)
for n in names: assert read(n) == n
refused(errno.ENAMETOOLONG, open, b'w' * 256, 'wb'); refused(errno.ENOENT, open, '', 'r'); refused(errno.ENOTDIR, open, b'case/', 'r')
here = os.getcwd()
for depth in range(20): os.mkdir('d' * 80); os.chdir('d' * 80)
open('bottom', 'w').close(); os.chdir(here); assert os.path.exists('/'.join(['d' * 80] * 20) + '/bottom')`),
  'reading a directory that changes': script(`
for n in range(3000): os.close(os.open('f%04d' % n, os.O_CREAT | os.O_WRONLY))
libc = ctypes.CDLL(None); libc.opendir.restype = libc.readdir.restype = ctypes.c_void_p; libc.telldir.restype = ctypes.c_long
for f in (libc.readdir, libc.telldir, libc.rewinddir, libc.closedir): f.argtypes = [ctypes.c_void_p]
libc.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]
def entry(): e = libc.readdir(d); return e and ctypes.string_at(e + 19).decode()
d = libc.opendir(b'.'); cookies = []
while True:
    at = libc.telldir(d); name = entry()
    if not name: break
    cookies.append((at, name))
assert sorted(n for _, n in cookies) == sorted(['.', '..'] + ['f%04d' % n for n in range(3000)])
for k in (2500, 3, 1777, 0, 3001): libc.seekdir(d, cookies[k][0]); assert entry() == cookies[k][1], k
libc.seekdir(d, cookies[1000][0]); due = [n for _, n in cookies[1000:]]
for n in range(1, 3000, 3): os.unlink('f%04d' % n)
rest = list(iter(entry, None)); left = {n for n in due if n.startswith('.') or int(n[1:]) % 3 != 1}
assert len(rest) == len(set(rest)) and left <= set(rest) <= set(due)
libc.rewinddir(d); assert len(list(iter(entry, None))) == 2002; libc.closedir(d)`),
  times: script(`
def later(f): before = f(); time.sleep(0.03); return before
f = os.open('f', os.O_RDWR | os.O_CREAT); os.utime(f, ns=(987654321, 1_600_000_000_123_456_789)); s = os.stat('f'); assert (s.st_atime_ns, s.st_mtime_ns) == (987654321, 1_600_000_000_123_456_789)
os.utime('f', ns=(-1_500_000_000, -1)); assert os.stat('f').st_mtime_ns == -1
t = later(lambda: os.stat('.').st_mtime_ns); os.mkdir('d'); assert os.stat('.').st_mtime_ns > t
t = later(lambda: os.stat('f').st_ctime_ns); os.chmod('f', 0o611); assert os.stat('f').st_ctime_ns > t
t = later(lambda: os.stat('f').st_mtime_ns); os.write(f, b'x'); assert os.stat('f').st_mtime_ns > t
t = later(lambda: os.stat('f').st_ctime_ns); os.rename('f', 'g'); assert os.stat('g').st_ctime_ns > t
s = os.stat('g'); time.sleep(0.03); os.close(f); assert os.stat('g').st_mtime_ns == s.st_mtime_ns, 'closing is no change'
os.symlink('g', 'l'); os.utime('l', ns=(3, 4), follow_symlinks=False); assert os.lstat('l').st_mtime_ns == 4 and os.stat('l').st_mtime_ns == s.st_mtime_ns`),
  'extended attributes': script(`
open('f', 'w').close(); os.setxattr('f', 'user.one', bytes(range(256))); os.setxattr('f', 'user.none', b''); assert os.getxattr('f', 'user.one') == bytes(range(256))
assert sorted(n for n in os.listxattr('f') if n.startswith('user.')) == ['user.none', 'user.one']
refused(errno.EEXIST, os.setxattr, 'f', 'user.one', b'', os.XATTR_CREATE); refused(errno.ENODATA, os.setxattr, 'f', 'user.two', b'', os.XATTR_REPLACE); refused(errno.ENODATA, os.removexattr, 'f', 'user.two')
open('f', 'w').write('changed'); os.rename('f', 'g'); os.setxattr('g', 'user.long', b'v' * 3000); assert os.getxattr('g', 'user.long') == b'v' * 3000 and os.getxattr('g', 'user.none') == b''
os.mkdir('d'); os.setxattr('d', 'user.d', b'1'); os.removexattr('d', 'user.d'); assert 'user.d' not in os.listxattr('d')`),
  'links and special files': script(`
open('a', 'w').write('1'); os.link('a', 'b'); open('b', 'a').write('2'); assert read('a') == b'12' and os.stat('a').st_nlink == 2 and os.stat('a').st_ino == os.stat('b').st_ino
os.unlink('a'); assert read('b') == b'12' and os.stat('b').st_nlink == 1; os.symlink('no/such', 's'); os.link('s', 't', follow_symlinks=False); assert os.readlink('t') == 'no/such'; refused(errno.ENOENT, open, 's')
os.symlink('y' * 2000, 'long'); assert os.readlink('long') == 'y' * 2000 and os.lstat('long').st_size == 2000; os.symlink('loop', 'loop'); refused(errno.ELOOP, open, 'loop')
server = socket.socket(socket.AF_UNIX); server.bind('sock'); server.listen(); client = socket.socket(socket.AF_UNIX); client.connect('sock'); client.send(b'hi'); assert server.accept()[0].recv(9) == b'hi'
assert stat.S_ISSOCK(os.stat('sock').st_mode); null = lambda: os.mknod('null', 0o600 | stat.S_IFCHR, os.makedev(1, 3))
if os.getuid() == 0: null(); assert os.stat('null').st_rdev == os.makedev(1, 3)
else: refused(errno.EPERM, null)
refused(errno.EPERM, os.link, '.', 'dir')`),
  'ranges and holes': script(`
f = os.open('f', os.O_RDWR | os.O_CREAT); os.pwrite(f, b'far', 1 << 40); assert os.fstat(f).st_size == (1 << 40) + 3 and os.pread(f, 5, 1 << 33) == bytes(5) and os.pread(f, 9, 1 << 40) == b'far'
os.pwrite(f, b'd' * 8192, 1 << 20); assert 0 < os.lseek(f, 0, os.SEEK_DATA) <= 1 << 20; assert (1 << 20) + 8192 <= os.lseek(f, 1 << 20, os.SEEK_HOLE) < 1 << 40; refused(errno.ENXIO, os.lseek, f, 1 << 41, os.SEEK_DATA)
os.ftruncate(f, 5000); os.close(f); assert read('f') == bytes(5000)
whole = os.urandom(3_000_000); open('from', 'wb').write(whole); a = os.open('from', os.O_RDWR); b = os.open('to', os.O_RDWR | os.O_CREAT); done = 0
while done < 2_500_000:
    n = os.copy_file_range(a, b, 2_500_000 - done, 7 + done, 100 + done); assert n > 0; done += n
assert os.pread(b, 4_000_000, 0) == bytes(100) + whole[7:2_500_007]
assert os.copy_file_range(a, b, 100, 3_000_000, 0) == 0; refused(errno.EINVAL, os.copy_file_range, a, a, 1000, 0, 500); assert os.copy_file_range(a, a, 1000, 0, 5000) == 1000 and os.pread(a, 1000, 5000) == whole[:1000]
os.lseek(b, 0, os.SEEK_SET); assert os.sendfile(b, a, 20, 5000) == 5000 and os.pread(b, 5000, 0) == (whole[:5000] + whole[:1000])[20:5020]`),
  'vectors and directory handles': script(`
d = os.open('.', os.O_RDONLY | os.O_DIRECTORY); f = os.open('v', os.O_RDWR | os.O_CREAT, 0o600, dir_fd=d); assert os.writev(f, [b'one', b'', b'two']) == 6
into = [bytearray(2), bytearray(9)]; assert os.preadv(f, into, 1) == 5 and into[0] == b'ne'
os.mkdir('sub', dir_fd=d); os.rename('v', 'sub/w', src_dir_fd=d, dst_dir_fd=d); assert os.stat('sub/w', dir_fd=d).st_size == 6; os.fsync(d); os.fdatasync(f)
refused(errno.EISDIR, os.open, 'sub', os.O_RDWR); refused(errno.ENOTDIR, os.open, 'sub/w', os.O_DIRECTORY)
refused(errno.ELOOP, lambda: (os.symlink('sub', 'l'), os.open('l', os.O_NOFOLLOW)))
g = os.open('sub/w', os.O_WRONLY | os.O_APPEND | os.O_SYNC); os.pwrite(g, b'end', 0); assert read('sub/w') == b'onetwoend'; os.posix_fadvise(g, 0, 0, os.POSIX_FADV_DONTNEED); refused(errno.EBADF, os.read, g, 1)`),
};
