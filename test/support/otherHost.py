# Another host on the link, for test/otherHost.test.ts: a datagram peer in a network namespace of its own, with both families.
# Answers "ping" with "pong" and with "news" to the group; "count N" with how many of the next N came.
import select, socket, struct, sys

link, groups, port = sys.argv[1], {socket.AF_INET: "239.255.77.2", socket.AF_INET6: "ff02::77:2"}, 7777
index = socket.if_nametoindex(link)

def member(family):
    sock = socket.socket(family, socket.SOCK_DGRAM)
    group = socket.inet_pton(family, groups[family])
    if family == socket.AF_INET:
        sock.bind(("", port))
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, struct.pack("4s4si", group, b"\0" * 4, index))
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, struct.pack("4s4si", b"\0" * 4, b"\0" * 4, index))
    else:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(("::", port))
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, struct.pack("16si", group, index))
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
    return sock

def count(sock, total):
    came = 0
    sock.settimeout(2)
    try:
        while came < total: came += len(sock.recv(2000)) > 1000
    except socket.timeout: pass
    sock.settimeout(None)
    return str(came)

socks = [member(family) for family in groups]
print("ready", flush=True)
while True:
    for sock in select.select(socks, [], [])[0]:
        data, sender = sock.recvfrom(2000)
        if data == b"ping":
            sock.sendto(b"pong", sender)
            sock.sendto(b"news", (groups[sock.family], sender[1]))
        elif data.startswith(b"count"):
            sock.sendto(count(sock, int(data.split()[1])).encode(), sender)
