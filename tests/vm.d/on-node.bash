# Runs on a node.  Prints TAP lines without numbers, which tests/vm.t counts.  $1 is the URL of an
# image source, $2 the UUID of its tiny image.
. /root/checks.bash
source_url=$1 tiny=$2
a=aaaaaaaa-1111-4111-8111-111111111111
b=bbbbbbbb-2222-4222-8222-222222222222
w=/root/vm.test
mkdir -p $w
cd $w || exit 1

need_pool
pgrep -f /usr/vm/sbin/metadata >/dev/null || { /usr/vm/sbin/metadata 2>$w/metadata.log & }
# Everything a VM may leave behind.
state() { zfs list -H -o name -t all -r zones | grep -v "^zones/\(var\|cores\|dump\|swap\)"; ls /etc/zones /var/vm/journal 2>/dev/null | grep -v -e uid-base -e lock; cat /etc/zones/index; ls /zones; }

imgadm sources -a "$source_url" >/dev/null 2>&1
ok 'image imported' imgadm import "$tiny"

payload() { # UUID [MORE]
	echo "{\"brand\":\"lx\",\"uuid\":\"$1\",\"kernel_version\":\"6.12.0\",\"image_uuid\":\"tiny\",
	\"max_physical_memory\":64,\"quota\":1,\"alias\":\"${1:0:4}\",
	\"customer_metadata\":{\"greeting\":\"hello there\"}${2:+,$2}}"
}

# --- made, seen, entered
out=$(payload $a | vmadm create 2>&1)
is 'create says so' "$out" "Successfully created VM $a"
empty=$(state)
is 'list' "$(vmadm list -p -o uuid,type,ram,state,alias)" "$a:LX:64:running:aaaa"
is 'lookup' "$(vmadm lookup -1 alias=~^aa)" $a
is 'zlogin' "$(zlogin $a /bin/echo inside 2>&1)" inside
is 'get' "$(vmadm get $a | json state quota customer_metadata.greeting | tr '\n' ' ')" 'running 1 hello there '
is 'quota on the dataset' "$(zfs get -Hp -o value quota zones/$a)" 1073741824
is 'metadata inside' "$(zlogin $a /native/usr/sbin/mdata-get greeting 2>&1)" 'hello there'
is 'uuid inside' "$(zlogin $a /native/usr/sbin/mdata-get sdc:uuid 2>&1)" $a
ok 'a guest writes metadata' zlogin $a /native/usr/sbin/mdata-put from guest
is 'and vmadm sees it' "$(vmadm get $a | json customer_metadata.from)" guest
# typed at a terminal; what comes back until MARK or 300 s
console() { socat -t 1 - EXEC:"$1",pty,setsid,ctty,stderr 2>&1 < <(typed "$2" "$3") | tee $w/console.out; }
typed() { printf "$1"; for i in $(seq 1 1500); do grep -q "$2" $w/console.out 2>/dev/null && break; sleep 0.2; done; printf '\035'; }
: > $w/console.out
has 'vmadm console, and ^] leaves it' "$(console "vmadm console $a" '\recho $((6*7))\r' '^42')" 42
refuses 'not the operator'"'"'s keys' ERROR zlogin $a /native/usr/sbin/mdata-put root_pw x
refuses 'the same again' 'already exists' vmadm create -f <(payload $a)
has 'start of a running VM is no error' "$(vmadm start $a 2>&1; echo $?)" 0

# --- changed while it runs
ok 'update' vmadm update $a cpu_cap=50 max_physical_memory=96 quota=2 alias=new
is 'quota changed' "$(zfs get -Hp -o value quota zones/$a)" 2147483648
is 'cpu cap in the cgroup' "$(cat /sys/fs/cgroup/zones/$a/cpu.max | cut -d' ' -f1)" "$(($(cut -d' ' -f2 /sys/fs/cgroup/zones/$a/cpu.max) / 2))"
is 'memory as the zone sees it' "$(zlogin $a cat /proc/meminfo | sed -n 's/^MemTotal: *\([0-9]*\) kB/\1/p')" $((96 << 10))
has 'tags' "$(echo '{"set_tags":{"role":"db"}}' | vmadm update $a 2>&1; vmadm lookup tags.role=db)" $a
refuses 'unknown property' 'Invalid property(s): colour' vmadm update $a colour=red

# --- stopped, started, restarted
ok 'stop' vmadm stop $a -F
is 'stopped' "$(vmadm list -H -o state)" stopped
ok 'nothing holds the dataset of a stopped VM' zfs unmount zones/$a
zfs mount zones/$a
ok 'start' vmadm start $a
ok 'reboot' vmadm reboot -F $a
is 'runs again' "$(vmadm list -H -o state)" running

# --- snapshots
ok 'snapshot' vmadm create-snapshot $a one
echo later > /zones/$a/root/later
ok 'rollback' vmadm rollback-snapshot $a one
is 'what came later is gone' "$(ls /zones/$a/root/later 2>/dev/null)" ''
is 'runs after the rollback' "$(vmadm list -H -o state)" running
ok 'snapshot deleted' vmadm delete-snapshot $a one

# --- a new root
echo mine > /zones/$a/root/mine
ok 'reprovision' vmadm reprovision $a -f <(echo "{\"image_uuid\":\"$tiny\"}")
is 'new root' "$(ls /zones/$a/root/mine 2>/dev/null)" ''
is 'metadata stayed' "$(vmadm get $a | json customer_metadata.greeting)" 'hello there'
is 'runs after the reprovision' "$(vmadm list -H -o state)" running

# --- sent and received
vmadm stop $a -F 2>/dev/null
echo kept > /zones/$a/root/kept
ok 'send' bash -c "vmadm send $a > $w/vm.stream"
vmadm delete $a 2>/dev/null
is 'deleted' "$(vmadm lookup)" ''
ok 'receive' vmadm receive -f $w/vm.stream
is 'came back, stopped' "$(vmadm list -H -o uuid,state | tr -s ' ')" "$a stopped"
is 'with what was in it' "$(cat /zones/$a/root/kept)" kept
ok 'and starts' vmadm start $a
ok 'delete' vmadm delete $a
refuses 'gone' 'No such zone configured' vmadm get $a
left=$(state)
case $left in *$a*) fail 'nothing of it is left' "$left" ;; *) pass 'nothing of it is left' ;; esac
head -c 3000 $w/vm.stream > $w/short
refuses 'a stream cut short' '' vmadm receive -f $w/short
is 'leaves nothing' "$(state)" "$left"

# --- a virtual machine: what is around its guest (tests/zones.d boots one)
k=cccccccc-3333-4333-8333-333333333333
kvm() { # MORE
	echo "{\"brand\":\"kvm\",\"uuid\":\"$k\",\"ram\":64,\"vnc_password\":\"sesame\",\"virtio_txburst\":64,
	\"qemu_extra_opts\":\"-device pvpanic\",\"autoboot\":true,
	\"disks\":[{\"size\":64,\"model\":\"virtio\",\"boot\":true,\"guest_block_size\":\"512/4096\"}],
	\"nics\":[{\"nic_tag\":\"admin\",\"ips\":[\"10.0.2.130/24\"],\"model\":\"virtio\",\"primary\":true}]${1:+,$1}}"
}
words() { tr '\0' ' ' < /proc/$(vmadm get $k | json pid)/cmdline; }
refuses 'no SPICE' 'has no SPICE' vmadm create -f <(kvm '"spice_port":0')
ok 'a machine' vmadm create -f <(kvm)
has 'options of disks' "$(words)" 'virtio-blk-pci,drive=drive0,id=disk0,bootindex=1,logical_block_size=512,physical_block_size=4096'
has 'options of nics' "$(words)" x-txburst=64
has 'options of its own' "$(words)" '-device pvpanic'
is 'two filters of system calls, and no new powers' "$(awk '/^(NoNewPrivs|Seccomp_filters|CapEff)/ { printf $2 " " }' /proc/$(vmadm get $k | json pid)/status)" '0000000000000000 1 2 '
is 'info' "$(vmadm info $k status,version | json status.status version.qemu.major)" "running
10"
is 'the screen is on the admin network' "$(vmadm info $k vnc | json vnc.host)" "$(hostname -I | cut -d' ' -f1)"
is 'and asks for a password' "$(exec 5<>"/dev/tcp/$(vmadm info $k vnc | json vnc.host)/$(vmadm info $k vnc | json vnc.port)"; printf 'RFB 003.008\n' >&5; timeout 60 head -c 14 <&5 | od -An -tx1 -j12 -N2)" ' 01 02'
ok 'sysrq nmi' vmadm sysrq $k nmi
ok 'sysrq screenshot' vmadm sysrq $k screenshot
is 'is a picture' "$(head -c 2 /zones/$k/root/tmp/vm.ppm)" P6
refuses 'no third sysrq' 'Invalid sysrq type' vmadm sysrq $k reset
ok 'the password is changed while it runs' vmadm update $k vnc_password=other
ok 'stop' vmadm stop $k -F
truncate -s 1m /zones/$k/root/cd.iso
ok 'start with a CD' vmadm start $k order=cd,once=d cdrom=/cd.iso,ide
has 'once from the CD' "$(words)" 'order=cd,once=d'
has 'the CD is there' "$(vmadm info $k block | json -a device inserted.file 2>/dev/null; words)" ide-cd,drive=drive1
vmadm stop $k -F 2>/dev/null
refuses 'a CD that is not there' 'nosuch.iso' vmadm start $k cdrom=/nosuch.iso,ide
ok 'UEFI' vmadm update $k bootrom=uefi vnc_port=-1
ok 'starts, too' vmadm start $k
is 'with variables of its own' "$(stat -c %s /zones/$k/root/tmp/vm.efivars)" "$(stat -Lc %s /usr/share/OVMF/OVMF_VARS_4M.fd)"
is 'without a port' "$(vmadm info $k vnc | json vnc)" ''
ok 'delete' vmadm delete $k
is 'nothing of it is left' "$(state)" "$left"

# --- a dataset of the zone's own (the platform's zfs, by its own loader: the tiny image has none)
d=dddddddd-4444-4444-8444-444444444444
zfs_inside() { zlogin $d "/host/lib64/ld-linux-x86-64.so.2 --library-path /host/lib/x86_64-linux-gnu /host/sbin/zfs $*" 2>&1; }
payload $d '"delegate_dataset":true,"filesystems":[{"type":"lofs","source":"/usr","target":"/host","options":["ro"]}]' | vmadm create 2>$w/create.out
is 'delegated' "$(vmadm get $d | json datasets)" "[
  \"zones/$d/data\"
]"
ok 'the zone mounts it' zfs_inside mount -a
ok 'and writes into it' zlogin $d "echo kept > /zones/$d/data/file && touch /zones/$d/data/file"
ok 'makes more of them' zfs_inside create zones/$d/data/sub
ok 'and snapshots' zfs_inside snapshot zones/$d/data@one
has 'but not of its root' "$(zfs_inside set quota=5g zones/$d)" 'permission denied'
has 'and sees no image' "$(zfs_inside list zones/$tiny)" 'does not exist'
vmadm reboot -F $d 2>/dev/null
is 'after a reboot it is there' "$(zfs_inside mount -a; zlogin $d cat /zones/$d/data/file)" kept
ok 'delete' vmadm delete $d

# --- by hand
hand() { zoneadm -z hand "$@"; }
states() { zoneadm list -cp | sed -n 's/^[^:]*:\([a-z]*\):\([a-z]*\):.*/\1=\2/p' | grep -v global | tr '\n' ' '; }
ok 'zonecfg' zonecfg -z hand 'create -b; set brand=lx; set zonepath=/zones/hand; add capped-memory; set physical=64m; end; commit'
ok 'install' hand install -t $tiny
ok 'verify' hand verify
ok 'ready' hand ready
is 'it is' "$(states)" 'hand=ready '
ok 'boot' hand boot
is 'capped' "$(cat /sys/fs/cgroup/zones/hand/memory.high)" $((64 << 20))
has 'zonememstat' "$(zonememstat -p)" hand:
refuses 'only what is installed is moved' 'is running' hand move /zones/moved
ok 'shutdown' hand shutdown
ok 'the configuration is exported' zonecfg -z hand export -f $w/hand.cfg
ok 'and taken by another' bash -c "sed s/hand/copy/ $w/hand.cfg > $w/copy.cfg && zonecfg -z copy -f $w/copy.cfg"
ok 'clone' zoneadm -z copy clone hand
ok 'move' zoneadm -z copy move /zones/moved
ok 'boots there' zoneadm -z copy boot
is 'and runs' "$(zlogin copy cat /etc/hostname)" copy
ok 'halt' zoneadm -z copy halt
ok 'detach' zoneadm -z copy detach
is 'it is' "$(states)" 'copy=configured hand=installed '
refuses 'and does not boot' 'not installed' zoneadm -z copy boot
ok 'attach' zoneadm -z copy attach
ok 'mark' zoneadm -z copy mark incomplete
refuses 'and does not boot' 'not installed' zoneadm -z copy boot
for z in copy hand; do
	ok "uninstall $z" zoneadm -z $z uninstall -F
	ok "delete $z" zonecfg -z $z delete -F
done
is 'nothing of them is left' "$(state)" "$left"

# --- refused creates leave nothing
try() { payload $b | json -e "$3" > $w/p.json; refuses "$1" "$2" vmadm create -f $w/p.json; is "... and leaves nothing" "$(state)" "$left"; }
try 'no such image' 'is not installed' 'image_uuid = "nosuch"'
payload $b '"nics":[{"nic_tag":"nosuch"}]' > $w/p.json
refuses 'no such tag' 'Invalid nic tag' vmadm create -f $w/p.json
is '... and leaves nothing' "$(state)" "$left"
try 'init that is not there' '' 'init_name = "/no/such/init"'

# --- killed half-made: after more and more time, until one is finished
killed=0
for i in $(seq 1 60); do
	payload $b | vmadm create >$w/create.out 2>&1 &
	pid=$!
	sleep "$(awk "BEGIN{print $i*0.03}")"
	kill -9 $pid 2>/dev/null
	wait $pid 2>/dev/null
	grep -q Successfully $w/create.out && break
	killed=$((killed + 1))
	vmadm update $b nosuch=x 2>$w/recover.out # the next vmadm that changes something clears up
	# Killed between its last step and its last word: it is finished.
	[ "$(vmadm lookup uuid=$b state=running)" != $b ] || break
	if [ "$(state)" != "$left" ] || [ -n "$(vmadm lookup uuid=$b)" ]; then
		fail "killed after $i" "$(cat $w/recover.out; state)"
		break
	fi
done
[ $killed -gt 3 ] && pass "$killed creates killed half-way left nothing" || fail "only $killed creates were killed in time" "$(cat $w/create.out)"
vmadm delete $b 2>/dev/null
is 'nothing is left at the end' "$(state)" "$left"
echo end
