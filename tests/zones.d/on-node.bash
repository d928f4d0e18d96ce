# Runs on a node: SOURCE-URL TINY LX HVM.  Prints results for tests/lib.sh's on_node.
. /root/checks.bash
source_url=$1 tiny=$2 lx=$3 hvm=$4
cd /root || exit 1

imgadm sources -a "$source_url" >/dev/null 2>&1
for i in $tiny $lx $hvm; do ok "imgadm import $i" imgadm import -q $i; done
is 'three images' "$(imgadm list -H -o uuid | wc -l)" 3

zone() {	# ALIAS IMAGE RAM IP
	vmadm create 2>&1 <<JSON
{"brand":"lx","kernel_version":"6.12.0","image_uuid":"$2","alias":"$1","max_physical_memory":$3,"quota":3,
 "nics":[{"nic_tag":"admin","ips":["$4/24"],"gateways":["10.0.2.2"],"primary":true}],"resolvers":["10.0.2.3"]}
JSON
}
uuid() { vmadm lookup -1 alias=$1; }

# --- two zones on the wire
zone a $tiny 64 10.0.2.101 >/dev/null
zone b $tiny 64 10.0.2.102 >/dev/null
a=$(uuid a) b=$(uuid b)
ok 'zones talk to each other' until_true 120 zlogin $a ping -c 1 -W 5 10.0.2.102
ok 'the node talks to a zone' until_true 120 ping -c 1 -W 5 10.0.2.101
ok 'a zone talks to the world outside' until_true 120 zlogin $a ping -c 1 -W 5 10.0.2.2
is 'two VNICs' "$(dladm show-vnic -p -o zone | sort | tr '\n' ' ')" "$(printf '%s\n' $a $b | sort | tr '\n' ' ')"
zlogin $a ip addr add 10.0.2.103/24 dev eth0
not 'an address that is not its own gets nowhere' zlogin $a ping -c 1 -W 2 -I 10.0.2.103 10.0.2.102
ok 'its own still does' until_true 120 zlogin $a ping -c 1 -W 5 -I 10.0.2.101 10.0.2.102
zlogin $b ip link set dev eth0 address 02:00:00:00:00:99
not 'nor does another MAC address' zlogin $b ping -c 1 -W 2 10.0.2.101

# --- never real root, limited, and nobody's business
is 'root inside is nobody outside' "$(ps -o uid= -p "$(vmadm get $a | json pid)" | tr -d ' ' | grep -c '^0$')" 0
not 'a zone sees no other zone' zlogin $a ls /zones
not 'a zone loads no module' zlogin $a insmod /x.ko
is 'memory limit' "$(cat /sys/fs/cgroup/zones/$a/memory.high)" $((64 << 20))

# --- zoneadmd dies, the zone does not notice
before=$(zlogin $a cat /proc/uptime | cut -d. -f1)
pkill -9 -f "zoneadmd.*$a"
is 'the state survives its daemon' "$(vmadm get $a | json state)" running
ok 'and a new daemon takes over' until_true 120 zlogin $a true
vmadm stop -F $a >/dev/null 2>&1
is 'the zone can be stopped' "$(vmadm get $a | json state)" stopped
vmadm delete $b >/dev/null 2>&1

# --- a distribution with systemd
zone deb $lx 256 10.0.2.110 >/dev/null
deb=$(uuid deb)
up() { [ "$(zlogin $deb systemctl is-system-running 2>/dev/null)" = running ]; }
ok 'Debian reaches "running" under systemd' until_true 600 up
is 'uid 0 is mapped' "$(zlogin $deb cat /proc/self/uid_map | awk '{ print ($2 > 0) }')" 1
is 'exit status of a command' "$(zlogin $deb 'exit 7'; echo $?)" 7

# --- the example that everybody begins with: its address comes by DHCP
vmadm create -f /usr/share/atoll/examples/lx.json >/dev/null 2>&1
web=$(uuid web)
leased() { zlogin $web ip -4 -br addr show eth0 | grep -q ' 10\.0\.2\.'; }
ok 'the example has an address by DHCP' until_true 400 leased
ok 'and is deleted' vmadm delete $web

# --- a KVM guest in a zone of its own
vmadm create >/root/kvm.out 2>&1 <<JSON
{"brand":"kvm","vcpus":1,"ram":384,"alias":"guest","resolvers":["10.0.2.3"],
 "disks":[{"boot":true,"model":"virtio","image_uuid":"$hvm"}],
 "nics":[{"nic_tag":"admin","ip":"10.0.2.120","netmask":"255.255.255.0","gateway":"10.0.2.2","model":"virtio","primary":true}]}
JSON
is 'a KVM guest is created' "$(sed -E 's/[0-9a-f-]{36}/UUID/' /root/kvm.out)" 'Successfully created VM UUID'
guest=$(uuid guest)
is 'QEMU is not root' "$(ps -o uid= -p "$(vmadm get $guest | json pid)" | tr -d ' ' | grep -c '^0$')" 0
ok 'the guest answers ping' until_true 900 ping -c 1 -W 2 10.0.2.120
ok 'a zone talks to the guest' until_true 120 zlogin $deb ping -c 1 -W 10 10.0.2.120

# --- everything is taken away again
for u in $(vmadm list -H -o uuid); do ok "delete $u" vmadm delete $u; done
is 'no VNIC is left' "$(dladm show-vnic -p -o link)" ''
is 'no dataset is left' "$(zfs list -H -o name -r zones | grep -c -e $a -e $b -e $deb -e $guest)" 0
is 'no cgroup is left' "$(ls -d /sys/fs/cgroup/zones/*/ 2>/dev/null)" ''
is 'no service complains' "$(svcs -x)" ''
echo end
