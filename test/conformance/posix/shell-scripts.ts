/** Programs, driven by `bash -euo pipefail`. */
import type {Script} from './applications.ts';

const sqlite = (journal: string): Script => ({
  needs: ['sqlite3'],
  text: `
sqlite3 shop.db 'pragma journal_mode=${journal}; create table orders(id integer primary key, who integer, what text)' >/dev/null
writer() { for n in $(seq 20); do echo "insert into orders(who, what) values($1, hex(randomblob(1500)));"; done | sqlite3 -cmd '.timeout 60000' shop.db; }
writer 1 & a=$!
writer 2 & b=$!
wait $a; wait $b
test "$(sqlite3 shop.db 'select count(*), count(distinct who) from orders')" = '40|2'
sqlite3 shop.db 'delete from orders where id % 3 = 0; vacuum'
test "$(sqlite3 shop.db 'pragma integrity_check')" = ok
# A transaction that was not ended is not there.
sqlite3 shop.db "begin; insert into orders(who) values(9); select count(*) from orders where who = 9" >/dev/null
test "$(sqlite3 shop.db 'select count(*) from orders where who = 9')" = 0`,
});

export const shellScripts: Readonly<Record<string, Script>> = {
  git: {
    needs: ['git'],
    text: `
git config --global user.name Somebody; git config --global user.email somebody@example.org; git config --global init.defaultBranch main
git init -q origin; cd origin
mkdir src doc
for n in 1 2 3 4 5 6; do
  echo "version $n" >src/main; seq $n 200 >"src/part $n"; ln -sf main src/latest
  git add .; git commit -qm "change $n"
done
git checkout -qb side HEAD~2; echo aside >doc/note; git add .; git commit -qm aside
git checkout -q main; git merge -q -m together side; git tag -a v1 -m one
git mv src/main src/first; git stash -q; git stash pop -q --index; git commit -qm moved
git gc -q; git fsck --strict --no-progress
cd ..; git clone -q origin copy; git clone -q --bare --no-hardlinks origin bare.git
test "$(git -C origin rev-parse HEAD)" = "$(git -C copy rev-parse HEAD)"
diff -r --no-dereference -x .git origin copy
test -z "$(git -C copy status --porcelain)"
git -C copy worktree add -q ../tree side; test -f tree/doc/note
echo more >>copy/doc/note; git -C copy commit -qam more; git -C copy push -q ../bare.git main
test "$(git -C bare.git log --format=%s -1 main)" = more`,
  },
  'sqlite with a write-ahead log': sqlite('wal'),
  'sqlite with a rollback journal': sqlite('delete'),
  postgres: {
    needs: ['setpriv', 'pg_config'],
    leavesRunning: true,
    text: `
bin=$(pg_config --bindir); test -x $bin/initdb || bin=$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
become='env HOME=/nonexistent' owner=postgres
sockets=$(mktemp -d); mkdir data; chmod 700 data
if [ $(id -u) = 0 ]; then chown postgres $sockets data; become="setpriv --reuid postgres --regid postgres --init-groups $become"; fi
as() { $become "$@"; }
as $bin/initdb -D $PWD/data -U $owner -A trust -k --no-instructions >/dev/null
begin() { as $bin/pg_ctl -D $PWD/data -w -t 100 -l $PWD/data/log -o "-k $sockets -c listen_addresses= -c shared_buffers=16MB" start >/dev/null; }
echo "$become $bin/pg_ctl -D $PWD/data -m immediate stop; rm -rf $sockets" >stop
ask() { as $bin/psql -h $sockets -U $owner -Atqc "$1" postgres; }
begin; ask 'create table t(n integer primary key, s text)'
ask "insert into t select n, repeat(n::text, 20) from generate_series(1, 5000) n"; ask 'update t set s = n where n % 2 = 0'
before=$(ask 'select count(*), sum(hashtext(s)) from t')
as $bin/pg_ctl -D $PWD/data -m immediate stop >/dev/null; begin
test "$before" = "$(ask 'select count(*), sum(hashtext(s)) from t')"; ask 'vacuum full t'; ask 'drop table t'`,
  },
  make: {
    needs: ['make', 'cc', 'ar'],
    text: `
for n in a b c d; do echo "int $n(void) { return sizeof \\"$n\\"; }" >$n.c; done
echo 'int a(void), b(void), c(void), d(void); int main(void) { return a() + b() + c() + d() - 8; }' >whole.c
printf 'whole: whole.o libparts.a\\n\\tcc -o $@ $^\\nlibparts.a: a.o b.o c.o d.o\\n\\tar rcs $@ $^\\n%%.o: %%.c\\n\\tcc -c -o $@ $<\\n' >Makefile
make -s -j 3; ./whole
make -q whole
sleep 0.1; touch c.c
! make -q whole
make -s; test c.o -nt b.o; make -q whole
cp whole again; chmod 750 again; ./again; ln whole linked; ./linked`,
  },
  tar: {
    needs: ['tar', 'gzip'],
    text: `
mkdir -p tree/deep/er; for n in $(seq 40); do seq $n $((n * 90)) >tree/file$n; done
: >tree/empty; ln -s ../file1 tree/deep/symbolic; ln tree/file2 tree/deep/hard; mkfifo tree/deep/er/pipe; printf x >"tree/with space"
chmod 2750 tree/deep; chmod 4711 tree/file3; touch -d '1999-12-31 23:59:59.987654321 UTC' tree/file4
tar --format=posix -cf one.tar tree; mkdir copy; tar -xpf one.tar -C copy
see() { (cd $1; find . -printf '%p %y %#m %s %n %U %G %T@ %l\\n' | sed -E '/ d /s/ [0-9]+ [0-9]+ 0 0 [0-9.]+ $//' | sort); }
diff <(see tree) <(see copy/tree)
tar -df one.tar
tar -czf two.tar.gz -C copy tree; gzip -t two.tar.gz; tar -tzf two.tar.gz | grep -q 'with space'
seq 3 >tree/file1; ! tar -df one.tar >/dev/null
tar -rf one.tar tree/file1; tar -xpf one.tar -C copy; cmp tree/file1 copy/tree/file1`,
  },
  rsync: {
    needs: ['rsync'],
    text: `
mkdir -p here/sub; for n in $(seq 30); do head -c $((n * 997)) /dev/urandom >here/sub/$n; done; ln here/sub/1 here/hard; ln -s sub here/symbolic
rsync -aHX here/ there; diff -r here there
test $(stat -c %h there/hard) = 2
test -z "$(rsync -aHX --itemize-changes --delete here/ there)"
rm here/sub/2*; printf tail >>here/sub/30; mv here/sub/3 here/sub/moved
rsync -aHX --delete --fuzzy here/ there; diff -r here there
printf more >>here/sub/30; rsync -a --append-verify here/ there; printf X | dd of=here/sub/9 conv=notrunc status=none; rsync -a --inplace --no-whole-file --checksum here/ there; diff -r here there`,
  },
  pip: {
    needs: ['python3'],
    text: `
python3 -m venv venv; venv/bin/python -c 'import sys; assert sys.prefix.endswith("venv")'
mkdir -p package/hello; echo 'def greet(): return "hello"' >package/hello/__init__.py
printf '[build-system]\\nrequires = []\\nbuild-backend = "backend"\\nbackend-path = ["."]\\n[project]\\nname = "hello"\\nversion = "1"\\n' >package/pyproject.toml
cat >package/backend.py <<'PY'
import base64, hashlib, os, zipfile
def build_wheel(directory, config_settings=None, metadata_directory=None):
    files = {'hello/__init__.py': open('hello/__init__.py').read(), 'hello-1.dist-info/METADATA': 'Metadata-Version: 2.1\\nName: hello\\nVersion: 1\\n',
             'hello-1.dist-info/WHEEL': 'Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n'}
    digest = lambda text: base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b'=').decode()
    files['hello-1.dist-info/RECORD'] = ''.join(f'{name},sha256={digest(text)},{len(text)}\\n' for name, text in files.items()) + 'hello-1.dist-info/RECORD,,\\n'
    with zipfile.ZipFile(os.path.join(directory, 'hello-1-py3-none-any.whl'), 'w') as wheel:
        for name, text in files.items(): wheel.writestr(name, text)
    return 'hello-1-py3-none-any.whl'
PY
venv/bin/pip install --quiet --no-index --no-build-isolation --disable-pip-version-check ./package
(cd /; "$OLDPWD/venv/bin/python" -c 'import hello; assert hello.greet() == "hello"')
venv/bin/pip uninstall --quiet -y hello; ! venv/bin/python -c 'import hello' 2>/dev/null`,
  },
  'shell idioms': {
    needs: ['sed', 'find', 'sort', 'dd', 'truncate', 'cmp'],
    text: `
printf 'one\\ntwo\\n' >f; chmod 640 f; sed -i s/two/three/ f; test "$(cat f)" = "$(printf 'one\\nthree')"; test $(stat -c %a f) = 640
(set -C; ! echo again >f) 2>/dev/null
for n in 1 2 3; do echo $n >>log; done; test "$(wc -l <log)" = 3
echo new >.f.tmp; mv -f .f.tmp f; test "$(cat f)" = new; test "$(ls -A | sort | tr '\\n' ' ')" = 'f log '
seq 100000 | sort -R -T . | sort -n -T . -S 1M | cmp - <(seq 100000)
mkdir many; (cd many; seq 1500 | xargs touch); test $(find many -type f | wc -l) = 1500; cp -a many copy; diff -r many copy; find many -delete; rm -r copy
exec 7<>held; echo kept >&7; rm held; test "$(cat /proc/self/fd/7)" = kept; exec 7>&-
truncate -s 8M sparse; printf end | dd of=sparse bs=1 seek=5000000 conv=notrunc status=none; cp --sparse=always sparse s2; cmp sparse s2; cp --reflink=auto sparse s3; cmp sparse s3
head -c 1048576 /dev/urandom >r; dd if=r of=d bs=64k oflag=direct status=none; dd if=d of=e bs=4k iflag=direct status=none; cmp r e
df -P . >/dev/null; df -Pi . >/dev/null; test $(du -k --apparent-size r | cut -f 1) = 1024; sync r; mkdir -p a/b/c; rmdir -p a/b/c
mkfifo p; (echo through >p) & test "$(cat p)" = through; wait`,
  },
  'locks of the shell': {
    needs: ['flock'],
    text: `
echo 0 >count
add() { for n in $(seq 15); do (flock 8; c=$(cat count); echo $((c + 1)) >count) 8>lock; done; }
add & a=$!
add & b=$!
add & c=$!
wait $a; wait $b; wait $c; test $(cat count) = 45
exec 8>lock; flock -x 8; ! flock -n -s lock true; flock -u 8; flock -n lock true`,
  },
  'sparse copies': {
    needs: [],
    text: `
truncate -s 64M a; head -c 4096 /dev/urandom | dd of=a bs=4096 seek=5000 conv=notrunc status=none; cp --sparse=always a b; cmp a b; cp --reflink=auto a c; cmp a c; test $(stat -c %s b) = 67108864`,
  },
  'deleting what find finds': {
    needs: ['find'],
    text: `
mkdir d; ( cd d; seq 2000 | xargs touch ); test $(find d -type f | wc -l) = 2000; find d -delete; test ! -e d`,
  },
  allocation: {
    needs: ['fallocate'],
    text: `
fallocate -l 300000 f; test $(stat -c %s f) = 300000; fallocate -n -o 400000 -l 100000 f; test $(stat -c %s f) = 300000
head -c 200000 /dev/urandom >g; cp g h; fallocate -p -o 5000 -l 70000 h; cmp -n 5000 g h; cmp -i 75000 g h; cmp -i 5000:0 -n 70000 h /dev/zero
fallocate -z -o 199000 -l 5000 h; test $(stat -c %s h) = 204000; cmp -i 199000:0 -n 5000 h /dev/zero`,
  },
  'watching (inotify)': {
    needs: ['inotifywait'],
    text: `
inotifywait -q -m --format '%e %f' . >"$HOME/seen" 2>/dev/null & watch=$!
for n in $(seq 100); do sleep 0.1; : >probe; test -s "$HOME/seen" && break; done
echo x >a; mv a b; mkdir c; rm b; rmdir c
for n in $(seq 100); do grep -q 'DELETE,ISDIR c' "$HOME/seen" && break; sleep 0.1; done; kill $watch
for e in 'CREATE a' 'CLOSE_WRITE,CLOSE a' 'MOVED_FROM a' 'MOVED_TO b' 'CREATE,ISDIR c' 'DELETE b'; do grep -qx "$e" "$HOME/seen"; done`,
  },
  vim: {
    needs: ['vim'],
    text: `
printf 'alpha\\nbeta\\n' >f; chmod 604 f
vim -u NONE -es -c '%s/beta/gamma/' -c wq f </dev/null
test "$(cat f)" = "$(printf 'alpha\\ngamma')"; test "$(ls -A)" = f; test $(stat -c %a f) = 604`,
  },
};
