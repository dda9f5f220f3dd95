"""A raw peer (TCP, UDP, Unix) in plain Python: one JSON command a line on standard input, one JSON answer a line.

Every command runs in a thread of its own, so that one may wait in `recv` while others go on.
"""
import json, os, socket, struct, sys, threading

sockets = {}
lock = threading.Lock()


def keep(sock):
    with lock:
        sockets[len(sockets)] = sock
        return len(sockets) - 1


def receive(sock, most):
    data = b""
    while len(data) < most:
        chunk = sock.recv(min(65536, most - len(data)))
        if not chunk:
            break
        data += chunk
    return data


def connect_path(path):
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(path)
    return {"socket": keep(sock), "address": path}


def datagrams():
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    return {"socket": keep(sock), "address": "%s:%d" % sock.getsockname(), "port": sock.getsockname()[1]}


def send_to(id, hex, port):
    sockets[id].sendto(bytes.fromhex(hex), ("127.0.0.1", port))


def connect(port):
    sock = socket.create_connection(("127.0.0.1", port))
    return {"socket": keep(sock), "address": "%s:%d" % sock.getsockname()}


def listen():
    sock = socket.create_server(("127.0.0.1", 0))
    return {"socket": keep(sock), "port": sock.getsockname()[1]}


def accept(id):
    sock, address = sockets[id].accept()
    return {"socket": keep(sock), "address": "%s:%d" % address}


def send(id, hex):
    sock = sockets[id]
    if sock.family == socket.AF_INET:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(bytes.fromhex(hex))


def recv(id):
    return {"hex": sockets[id].recv(65536).hex()}


def read_to_end(id):
    return {"hex": receive(sockets[id], 1 << 40).hex()}


def shutdown(id):
    sockets[id].shutdown(socket.SHUT_WR)


def close(id):
    sockets[id].close()


def reset(id):
    sockets[id].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sockets[id].close()


def echo(port, size, clients):
    """Each client sends so many random bytes, ends its side, and compares what came back with what it sent."""
    whole = []

    def one():
        data = os.urandom(size)
        with socket.create_connection(("127.0.0.1", port)) as sock:
            def write():
                sock.sendall(data)
                sock.shutdown(socket.SHUT_WR)
            writer = threading.Thread(target=write)
            writer.start()
            if receive(sock, size + 1) == data:
                whole.append(1)
            writer.join()

    threads = [threading.Thread(target=one) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {"whole": len(whole)}


verbs = (
    connect, connect_path, listen, accept, datagrams, send, send_to, recv, read_to_end, shutdown, close, reset, echo
)
commands = {f.__name__: f for f in verbs}


def run(request):
    try:
        answer = commands[request["do"]](**request["with"]) or {}
    except OSError as error:
        answer = {"error": str(error)}
    with lock:
        print(json.dumps({"id": request["id"], **answer}), flush=True)


for line in sys.stdin:
    threading.Thread(target=run, args=(json.loads(line),), daemon=True).start()
os._exit(0)
