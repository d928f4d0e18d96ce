# Runs on a node.  Prints TAP lines without numbers, which tests/bhyve.t counts.  $1 is the URL of an
# image source, $2 the UUID of its hvm image.
. /root/checks.bash
source_url=$1 hvm=$2
u=bbbbbbbb-1111-4111-8111-111111111111
tmp=/zones/$u/root/tmp

state() { vmadm get $u | json state; }
pid() { vmadm get $u | json pid; }
state_is() { [ "$(state)" = "$1" ]; }
new_pid() { local p; p=$(pid) && [ -n "$p" ] && [ "$p" != "$1" ]; }

need_pool
imgadm sources -a "$source_url" >/dev/null 2>&1
ok 'image imported' imgadm import "$hvm"

# Two networks: of two cards in one network a guest answers by either, and what leaves by the wrong one is
# dropped as spoofed.
payload() { cat <<JSON
{"brand":"bhyve","uuid":"$u","vcpus":1,"ram":384,"alias":"guest","resolvers":["10.0.2.3"],"autoboot":false,"vnc_port":-1,
 "bhyve_extra_opts":"-l kernel,/boot/vmlinuz -k /boot/bhyve.conf","bootrom":"${1:-uefi}",
 "disks":[{"boot":true,"model":"virtio","image_uuid":"$hvm"},{"size":64,"model":"nvme"}],
 "nics":[{"nic_tag":"admin","ip":"10.0.2.140","netmask":"255.255.255.0","gateway":"10.0.2.2","model":"virtio","primary":true},
  {"nic_tag":"admin","ip":"10.0.3.141","netmask":"255.255.255.0","model":"virtio"}]}
JSON
}

# --- made; its kernel taken out of its own disk
out=$(payload | vmadm create 2>&1)
is 'created' "$out" "Successfully created VM $u"
mkdir -p /mnt/guest /zones/$u/root/boot
ok 'the disk holds Debian' until_true 120 mount -o ro /dev/zvol/zones/$u/disk0-part1 /mnt/guest
cp -L /mnt/guest/vmlinuz /mnt/guest/initrd.img /zones/$u/root/boot/
umount /mnt/guest
printf 'boot.initrd=/boot/initrd.img\nboot.cmdline=root=LABEL=atoll-root ro console=ttyS0 net.ifnames=0 mitigations=off quiet\n' >/zones/$u/root/boot/bhyve.conf
chmod 644 /zones/$u/root/boot/*
ok 'started' vmadm start $u
is 'listed' "$(vmadm list -Hp -o type,ram,state,alias)" 'BHYV:384:running:guest'
p=$(pid)

# --- what it looks like from outside
has 'not root, no capability, no new privileges' "$(grep -E '^(Uid|CapBnd|NoNewPrivs)' /proc/$p/status | tr -s '\t\n' ' ')" 'CapBnd: 0000000000000000 NoNewPrivs: 1'
is 'its uid is not root' "$(awk '/^Uid/ { print ($2 > 65535) }' /proc/$p/status)" 1
# A vcpu takes its second at its guest's first exit.
filters() { [ "$(for t in /proc/$p/task/*; do case $(cat $t/comm) in bhyve) awk '/Seccomp_filters/ { print $2 }' $t/status ;; esac; done | sort -u)" = 2 ]; }
ok 'every thread of its own has two filters' until_true 120 filters
is 'it sees no file of the node' "$(ls /proc/$p/root/etc /proc/$p/root/zones 2>/dev/null | grep -v '^/' | tr -d '\n')" ''
is 'no network but its own' "$(nsenter -t $p -n ip -o link | grep -vc ' lo:')" 0
devices=$(bhyvectl devices $tmp/vm.ctl)
for want in '0:0:0 hostbridge' '0:4:0 virtio-blk' '0:4:1 nvme' '0:6:0 virtio-net-viona' '0:6:1 virtio-net-viona' '0:31:0 lpc'; do
	has "PCI $want" "$(json -a address device <<<"$(json devices <<<"$devices")")" "$want"
done

# --- the guest
ok 'it answers ping: metadata came over the second serial port' until_true 900 ping -c 1 -W 2 10.0.2.140
p=$(pid)
pkill -9 -f "zoneadmd.*$u"
is 'the state survives its daemon' "$(state)" running
ok 'and a new daemon takes over' until_true 120 zoneadm -z $u apply
is 'the monitor did not notice' "$(pid)" "$p"
ok 'the power button stops it' vmadm stop $u
is 'stopped' "$(state)" stopped

# --- reset: the zone is built anew; off
ok 'started again' vmadm start $u
p=$(pid)
ok 'reset' bhyvectl reset $tmp/vm.ctl
ok 'comes back as another process' until_true 300 new_pid "$p"
ok 'off' bhyvectl poweroff $tmp/vm.ctl
ok 'and stays off' until_true 300 state_is stopped
ok 'the second disk grows' bash -c "echo '{\"update_disks\":[{\"path\":\"/dev/zvol/rdsk/zones/$u/disk1\",\"size\":96}]}' | vmadm update $u"
is 'it did' "$(zfs get -Hp -o value volsize zones/$u/disk1)" $((96 << 20))

# --- what cannot start says why, and nothing stays
ok 'a wrong option' vmadm update $u bhyve_extra_opts=-Q
has 'is the error of the start' "$(vmadm start $u 2>&1)" 'unknown option -Q'
is 'stopped all the same' "$(state)" stopped
vmadm update $u bhyve_extra_opts= >/dev/null 2>&1
pci() { echo "{\"$1_pci_devices\":[$2]}" | vmadm update $u; }
host=/sys/bus/pci/devices/$(ls /sys/bus/pci/devices | head -1)
ok 'a PCI device of the node' pci add "{\"path\":\"$host\",\"pci_slot\":\"0:8:0\"}"
is '... is kept' "$(vmadm get $u | json pci_devices.0.path)" "$host"
has '... and refused where there is no IOMMU' "$(vmadm start $u 2>&1)" 'has no IOMMU'
is '... and nothing runs' "$(state)" stopped
ok '... and taken away' pci remove "\"$host\""
ok 'deleted' vmadm delete $u

# --- UEFI from the zvol, and cloud-init: its disk is a NoCloud disk of the metadata
u=cccccccc-2222-4222-8222-222222222222
[ -e /root/key ] || ssh-keygen -q -t ed25519 -N '' -f /root/key
mv /root/cd.iso /zones/cd.iso
in_guest() { ssh -i /root/key -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o BatchMode=yes -o ConnectTimeout=120 -o ServerAliveInterval=60 root@10.0.2.142 "$@"; }
out=$(vmadm create 2>&1 <<JSON
{"brand":"bhyve","uuid":"$u","vcpus":1,"ram":512,"alias":"uefi","hostname":"cloudy","resolvers":["10.0.2.3"],"bootrom":"uefi","vnc_port":5977,
 "disks":[{"boot":true,"model":"virtio","image_uuid":"$hvm"},{"media":"cdrom","path":"/zones/cd.iso","model":"ahci"}],
 "customer_metadata":{"org.smartos:cloudinit_datasource":"nocloud","root_authorized_keys":"$(cat /root/key.pub)",
  "user-data":"#cloud-config\nruncmd:\n- [sh, -c, 'echo told >/root/told']\n"},
 "nics":[{"nic_tag":"admin","ip":"10.0.2.142","netmask":"255.255.255.0","gateway":"10.0.2.2","model":"virtio","primary":true}]}
JSON
)
is 'a guest of UEFI' "$out" "Successfully created VM $u"
devices=$(bhyvectl devices /zones/$u/root/tmp/vm.ctl)
for want in '0:3:0 ahci-cd' '0:4:0 virtio-blk' '0:29:0 virtio-blk' '0:30:0 fbuf'; do
	has "PCI $want" "$(json -a address device <<<"$(json devices <<<"$devices")")" "$want"
done
has 'its screen' "$(timeout 60 head -c 12 <"/dev/tcp/$(vmadm info $u vnc | json vnc.host)/5977")" RFB
ok 'Debian starts from the zvol and answers ssh to the key of its metadata' until_true 1500 in_guest true
ok 'cloud-init is done' until_true 600 in_guest 'cloud-init status | grep -q done'
is 'its name' "$(in_guest hostname)" cloudy
is 'its source' "$(in_guest cloud-id)" nocloud
is 'its user-data' "$(in_guest 'cat /root/told')" told
has 'the firmware' "$(in_guest 'ls /sys/firmware/efi')" runtime
has 'its route' "$(in_guest ip route)" 'default via 10.0.2.2'
is 'the CD' "$(in_guest 'mount -o ro /dev/sr0 /mnt && cat /mnt/word')" 'the word'
is 'its disk' "$(in_guest 'findmnt -no SOURCE /')" /dev/vda1
ok 'the power button stops it' vmadm stop $u
is 'stopped' "$(state)" stopped
ok 'deleted' vmadm delete $u
is 'no dataset is left' "$(zfs list -H -o name -r zones | grep -c $u)" 0
is 'no cgroup is left' "$(ls -d /sys/fs/cgroup/zones/*/ 2>/dev/null)" ''
is 'no VNIC is left' "$(dladm show-vnic -p -o link)" ''
echo end
