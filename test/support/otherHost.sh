# Two hosts on a link of their own, for test/otherHost.test.ts: `otherHost.sh PEER COMMAND...` runs the command on one of them, in a
# network namespace, and the Python peer on the other. Wants `unshare -rn`, veth devices and python3. The link carries 16 Mbit/s if tc is here.
set -e
peer=$1
shift
ip link set lo up
ip link add va type veth peer name vb
unshare -n sh -c 'until ip link show vb; do sleep 0.05; done
  ip addr add 10.77.0.2/24 dev vb; ip addr add fd77::2/64 dev vb nodad; ip link set vb addrgenmode none up; ip addr add fe80::2/64 dev vb nodad
  exec python3 "$1" vb' sh "$peer" >/dev/null 2>&1 &
other=$!
trap 'kill $other' EXIT
until [ "$(readlink /proc/$other/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.05; done
ip link set vb netns $other
ip addr add 10.77.0.1/24 dev va
ip addr add fd77::1/64 dev va nodad
ip link set va addrgenmode none up
ip addr add fe80::1/64 dev va nodad
tc qdisc add dev va root tbf rate 16mbit burst 32kb limit 8mb 2>/dev/null || true
"$@"
