"""What programs do on a mount while its daemon is killed again and again, each against a model. Any error, or anything else than the model
has, ends it with a message and status 1. Arguments: what to do, where, a file that says when to stop, a seed."""
import fcntl, os, random, sqlite3, sys

what, place, stop, seed = sys.argv[1:5]
rng = random.Random(int(seed))
done = 0


def running():
    global done
    done += 1
    return not os.path.exists(stop)


def must_fail(error, step):
    try:
        step()
    except error:
        return
    raise AssertionError(f'{error.__name__} was expected after {done} steps')


def names():
    """mkdir, O_EXCL, rename, link, unlink, rmdir: each is done once, and nothing else is."""
    model = {}
    while running():
        name = f'n{rng.randrange(12)}'
        path = os.path.join(place, name)
        kind = model.get(name)
        choice = rng.randrange(8)
        if choice == 0:
            (must_fail(FileExistsError, lambda: os.mkdir(path)) if kind else os.mkdir(path))
            model.setdefault(name, 'directory')
        elif choice in (1, 2):
            make = lambda: os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
            must_fail(FileExistsError, make) if kind else make()
            model.setdefault(name, 'file')
        elif choice in (3, 4):
            other = f'n{rng.randrange(12)}'
            target = model.get(other)
            if kind is None:
                must_fail(FileNotFoundError, lambda: os.rename(path, os.path.join(place, other)))
            elif name != other and (target is None or target == kind):
                os.rename(path, os.path.join(place, other))
                model[other] = model.pop(name)
        elif choice == 5 and kind != 'directory':
            must_fail(FileNotFoundError, lambda: os.unlink(path)) if kind is None else os.unlink(path)
            model.pop(name, None)
        elif choice == 6 and kind == 'directory':
            os.rmdir(path)
            del model[name]
        else:
            found = sorted(os.listdir(place))
            assert found == sorted(model), f'step {done}: there is {found}, and should be {sorted(model)}'
            for each, expected in model.items():
                assert os.path.isdir(os.path.join(place, each)) == (expected == 'directory'), f'step {done}: {each} is no {expected}'


def append():
    """Two descriptors that append in turn; closed and opened again now and then."""
    path, model = os.path.join(place, 'log'), b''
    opened = lambda: os.open(path, os.O_CREAT | os.O_APPEND | os.O_RDWR)
    files = [opened(), opened()]
    while running():
        piece = f'{done:08}'.encode() * rng.randrange(1, 40)
        assert os.write(files[done % 2], piece) == len(piece)
        model += piece
        if done % 17 == 0:
            assert os.pread(files[0], len(model) + 1, 0) == model, f'step {done}: the file is not what was appended'
        if done % 53 == 0:
            os.fsync(files[1])
            for file in files:
                os.close(file)
            files = [opened(), opened()]
        if len(model) > 500_000:
            os.ftruncate(files[0], 0)
            model = b''
    with open(path, 'rb') as file:
        assert file.read() == model


def lock():
    """A number that many raise by one, each under a lock of the range: prints how often this one did."""
    file = os.open(os.path.join(place, 'counter'), os.O_RDWR | os.O_CREAT)
    raised = 0
    while running():
        fcntl.lockf(file, fcntl.LOCK_EX, 16)
        number = int(os.pread(file, 16, 0) or b'0')
        os.pwrite(file, f'{number + 1:016}'.encode(), 0)
        raised += 1
        fcntl.lockf(file, fcntl.LOCK_UN, 16)
    print(raised)


def remove():
    """rm -r: what was read of a directory goes while the rest is read; at the end nothing may be left."""
    while running():
        inside = os.path.join(place, f'tree-{done}')
        os.mkdir(inside)
        wanted = {f'{i:03}-{"x" * rng.randrange(60)}' for i in range(150)}
        for name in wanted:
            os.close(os.open(os.path.join(inside, name), os.O_CREAT | os.O_EXCL))
        seen = set()
        with os.scandir(inside) as entries:
            for entry in entries:
                assert entry.name not in seen, f'{entry.name} comes twice'
                seen.add(entry.name)
                os.unlink(entry.path)
        assert seen == wanted, f'never listed: {sorted(wanted - seen)}'
        os.rmdir(inside)


def sqlite():
    """What was committed is there, whole, in order."""
    path = os.path.join(place, 'db')
    base = sqlite3.connect(path, isolation_level=None, timeout=120)
    base.execute('create table if not exists t (n integer primary key, text)')
    rows = 0
    while running():
        base.execute('begin immediate')
        for _ in range(rng.randrange(1, 4)):
            base.execute('insert into t values (?, ?)', (rows, 'x' * rng.randrange(3000)))
            rows += 1
        base.execute('commit')
        if done % 11 == 0:
            other = sqlite3.connect(path, timeout=120)
            assert other.execute('select count(*), max(n) from t').fetchone() == (rows, rows - 1)
            other.close()
    assert base.execute('pragma integrity_check').fetchone() == ('ok',)
    assert base.execute('select count(*) from t').fetchone() == (rows,)


{'names': names, 'append': append, 'lock': lock, 'remove': remove, 'sqlite': sqlite}[what]()
print(f'{what}: {done} steps', file=sys.stderr)
