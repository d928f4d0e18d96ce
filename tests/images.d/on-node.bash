# Runs on a node: images good and bad, imports cut short.  Prints TAP lines without numbers, which
# tests/images.t counts.  $1 is the URL of an image source, $2 the UUID of its tiny image.
. /root/checks.bash
source_url=$1 tiny=$2
u1=11111111-1111-4111-8111-111111111111
u2=22222222-2222-4222-8222-222222222222
w=/root/images.test
mkdir -p $w
cd $w || exit 1

need_pool
# ZFS makes the device of a volume in its own time, and udev, which looks into it, holds it for a moment.
device() { until_true 120 test -b /dev/zvol/zones/$1; }
destroy() { until_true 120 zfs destroy -r zones/$1; }
state() { zfs list -H -o name -t all -r zones; ls /var/imgadm/images 2>/dev/null; imgadm list -H; }

# --- streams to install: made here, by ZFS itself
zfs create -o mountpoint=/zones/src zones/src
mkdir /zones/src/root
head -c 3000000 /dev/urandom > /zones/src/root/data
zfs snapshot zones/src@one
zfs send zones/src@one > good
zfs clone zones/src@one zones/src2
echo more > /zones/src2/root/more
zfs snapshot zones/src2@x
zfs send -i zones/src@one zones/src2@x > incremental
zfs send -p zones/src@one > props
zfs snapshot zones/src@two
zfs send -R zones/src@two > twosnaps 2>/dev/null
zfs create zones/src3; zfs create zones/src3/child; zfs snapshot -r zones/src3@s
zfs send -R zones/src3@s > children
zfs create -V 16M zones/vol
device vol
dd if=/dev/urandom of=/dev/zvol/zones/vol bs=1M count=4 2>/dev/null
zfs snapshot zones/vol@s
zfs send zones/vol@s > volume
for i in src2 src src3 vol; do destroy $i; done
head -c 1000000 good > truncated
head -c 100000 /dev/urandom > noise
{ cat good; head -c 5000 /dev/zero; } > padded
{ head -c 1500000 good; head -c 4096 /dev/urandom; tail -c +1504097 good; } > flipped
gzip -k -1 good; bzip2 -k good; xz -k -0 good; zstd -q good -o good.zst
head -c 1000000 good.gz > truncated.gz
: > empty

# manifest FILE [JQ]: of a file, changed by a jq filter
manifest() {
	local c=none
	case $1 in *.gz) c=gzip ;; *.bz2) c=bzip2 ;; *.xz) c=xz ;; *.zst) c=zstd ;; esac
	jq -n --arg u $u1 --arg sha1 "$(sha1sum < "$1" | cut -d' ' -f1)" --arg c $c \
		--argjson size "$(stat -c %s "$1")" '{v: 2, uuid: $u, name: "test", version: "1.0",
		type: "lx-dataset", os: "linux", published_at: "2026-11-21T00:00:00Z",
		files: [{sha1: $sha1, size: $size, compression: $c}]}' | jq "${2:-.}" > m.json
}
zvol='.type="zvol"|.nic_driver="virtio"|.disk_driver="virtio"|.cpu_type="host"|.image_size=16'

# --- good ones, in every compression
for f in good good.gz good.bz2 good.xz good.zst padded; do
	manifest $f
	ok "install $f" imgadm install -q -m m.json -f $f
	is "$f is listed" "$(imgadm list -H -o uuid,name,version,type,pub)" "$u1  test  1.0  lx-dataset  2026-11-21"
	ok "delete $f" imgadm delete $u1
done
manifest volume "$zvol"
ok 'install a volume' imgadm install -q -m m.json -f volume
is 'it has one snapshot, @final' "$(zfs list -H -o name -t snapshot -r zones/$u1)" "zones/$u1@final"
is 'its device is not there' "$(zfs get -H -o value volmode zones/$u1)" none
ok 'a clone of it is a device' eval 'zfs clone zones/$u1@final zones/clone && device clone'
out=$(imgadm delete $u1 2>&1); rc=$?
has 'an image with a clone is not deleted' "$rc $out" "1 imgadm delete: error (ImageHasDependentClones): image $u1 has dependent clones: zones/clone"
destroy clone
ok 'without the clone it is' imgadm delete $u1
out=$(imgadm get $u1 2>&1); rc=$?
has 'exit status 3 for what is not there' "$rc $out" "3 imgadm get: error (ImageNotInstalled)"

# --- incremental
manifest good
ok 'install an origin' imgadm install -q -m m.json -f good
manifest incremental ".uuid=\"$u2\"|.origin=\"$u1\""
ok 'install what is based on it' imgadm install -q -m m.json -f incremental
is 'ancestry' "$(imgadm ancestry -H -o uuid $u2 | paste -sd' ')" "$u2 $u1"
is 'the origin has a clone' "$(imgadm list -H -o clones uuid=$u1)" 1
out=$(imgadm delete $u1 2>&1)
has 'the origin stays' "$out" ImageHasDependentClones
is 'install again is no error' "$(imgadm install -q -m m.json -f incremental)" "Image $u2 (test@1.0) is already installed, skipping"
imgadm vacuum -f > vacuum
is 'vacuum takes both, in order' "$(imgadm list -H)" ''

# --- bad ones: NAME MESSAGE FILE JQ.  Each must fail with the message and leave all as it was.
before=$(state)
bad() {
	local out rc
	manifest "$3" "${4:-.}"
	out=$(imgadm install -q -m m.json -f "$3" 2>&1); rc=$?
	if [ $rc -eq 0 ]; then fail "refused: $1" "it was installed"; imgadm delete $u1; return; fi
	has "refused: $1" "$out" "$2"
	is "nothing left: $1" "$(state)" "$before"
}
bad 'truncated'			'incomplete'			truncated
bad 'truncated, size of the whole' 'image file ends after 1000000 bytes' truncated '.files[0].size=3000000'
bad 'truncated gzip'		'image file'			truncated.gz
bad 'wrong sha1'		'manifest says da39a3ee5e6b4b0d3255bfef95601890afd80709' good '.files[0].sha1="da39a3ee5e6b4b0d3255bfef95601890afd80709"'
bad 'wrong sha1, gzip'		'manifest says da39a3ee5e6b4b0d3255bfef95601890afd80709' good.gz '.files[0].sha1="da39a3ee5e6b4b0d3255bfef95601890afd80709"'
bad 'size too small'		"larger than the manifest's size" good '.files[0].size-=1'
bad 'size too large'		'image file ends after'		good '.files[0].size+=1'
bad 'noise'			'image file is no good zfs stream' noise
bad 'a changed byte'		'image file is no good zfs stream' flipped
bad 'empty file'		'"files[0].size" must be a positive number' empty
bad 'empty file, size 1'	'image file'			empty '.files[0].size=1'
bad 'said to be gzip'		'image file is not gzip'	good '.files[0].compression="gzip"'
bad 'said to be xz'		'image file is not xz'		good.gz '.files[0].compression="xz"'
bad 'said to be plain'		'image file is no good zfs stream' good.gz '.files[0].compression="none"'
bad 'two snapshots'		'image file'			twosnaps
bad 'with children'		'image file'			children
bad 'with properties'		'image file sets property mountpoint' props
bad 'a volume as lx-dataset'	"holds a volume, manifest's type is lx-dataset" volume
bad 'a filesystem as zvol'	'image file'			good "$zvol"
bad 'a volume larger than image_size' 'holds a volume of 16 MiB' volume "$zvol|.image_size=8"
bad 'incremental without origin' 'image file is no good zfs stream' incremental
bad 'origin not installed'	"image $u2 is not installed"	incremental ".origin=\"$u2\""
bad 'uuid missing'		'"uuid" is missing'		good 'del(.uuid)'
bad 'uuid a path'		'"uuid" is "../../../etc"'	good '.uuid="../../../etc"'
bad 'uuid an option'		'"uuid" is "-r"'		good '.uuid="-r"'
bad 'uuid upper case'		'lower-case UUID'		good '.uuid="ABCDEF01-1111-4111-8111-111111111111"'
bad 'version 1'			'"v" is 1, must be 2'		good '.v=1'
bad 'no name'			'"name" is missing'		good 'del(.name)'
bad 'name with a newline'	'"name" is'			good '.name="a\nb"'
bad 'name too long'		'longer than 512'		good '.name=("x"*513)'
bad 'unknown type'		'"type" is "vmdk"'		good '.type="vmdk"'
bad 'unknown os'		'"os" is "plan9"'		good '.os="plan9"'
bad 'no files'			'"files" is missing'		good 'del(.files)'
bad 'two files'			'"files" has 2 elements'	good '.files+=.files'
bad 'sha1 missing'		'"files[0].sha1" is missing'	good 'del(.files[0].sha1)'
bad 'sha1 no hex'		'"files[0].sha1" is "zz"'	good '.files[0].sha1="zz"'
bad 'size a string'		'"files[0].size" must be'	good '.files[0].size="1"'
bad 'compression unknown'	'"files[0].compression" is "rar"' good '.files[0].compression="rar"'
bad 'disabled image'		'only an active image'		good '.state="disabled"'
bad 'its own origin'		'"origin" is the image itself'	good ".origin=\"$u1\""
bad 'zvol without drivers'	'"nic_driver" is missing'	volume '.type="zvol"'
bad 'driver an option'		'"disk_driver" is "-drive"'	volume "$zvol|.disk_driver=\"-drive\""
bad 'unknown requirement'	'"requirements.moon"'		good '.requirements.moon="full"'
bad 'max_ram below min_ram'	'"requirements.max_ram" 1 is less' good '.requirements={min_ram: 2, max_ram: 1}'
echo '{"v":2,' > m.json
out=$(imgadm install -q -m m.json -f good 2>&1)
has 'refused: manifest cut short' "$out" 'm.json'
out=$(imgadm install -q -m /nonexistent -f good 2>&1)
has 'refused: no manifest' "$out" '/nonexistent'
manifest good
out=$(imgadm install -q -P nopool -m m.json -f good 2>&1)
has 'refused: no such pool' "$out" 'no zpool nopool'
zfs create zones/$u1
before2=$(state)
out=$(imgadm install -q -m m.json -f good 2>&1)
has 'refused: the dataset is there and no image' "$out" "dataset zones/$u1 exists and is not an image"
is 'nothing left: the dataset is there' "$(state)" "$before2"
zfs destroy zones/$u1
is 'nothing was mounted by any of them' "$(findmnt -n -o TARGET | grep -c partial)" 0

# --- killed at each step: nothing is listed, and the next try works
manifest good
for step in clean receiving received checked final database renamed; do
	want=''
	[ $step != renamed ] || want=$u1
	IMGADM_TEST_KILL=$step imgadm install -q -m m.json -f good >/dev/null 2>&1
	is "killed at $step: exit by signal" $? 137
	is "killed at $step: listed" "$(imgadm list -H -o uuid)" "$want"
	ok "killed at $step: again" imgadm install -q -m m.json -f good
	ok "killed at $step: delete" imgadm delete $u1
	is "killed at $step: all as before" "$(state)" "$before"
done
( exec imgadm install -q -m m.json -f <(head -c 2000000 good; exec sleep 1000) ) >/dev/null 2>&1 &
pid=$!
until_true 120 zfs list zones/$u1-partial
is 'while an import runs it is not listed' "$(imgadm list -H)" ''
kill -9 $pid; wait $pid 2>/dev/null
pkill -fx 'sleep 1000'
ok 'a killed import can be repeated at once' imgadm install -q -m m.json -f good
ok 'and deleted' imgadm delete $u1
is 'and all is as before' "$(state)" "$before"

# --- a source
ok 'a source is added' imgadm sources -a "$source_url"
out=$(imgadm sources -a http://10.0.2.2:1/ 2>&1)
has 'one that does not answer is not' "$out" 'error (SourcePing)'
ok 'the default source goes' imgadm sources -d https://images.smartos.org
has 'avail' "$(imgadm avail -H -o uuid,name,type)" "$tiny  tiny"
is 'show' "$(imgadm show $tiny | json uuid 2>/dev/null || imgadm show $tiny | jq -r .uuid)" $tiny
out=$(imgadm import -q $tiny 2>&1)
has 'import' "$out" "Imported image $tiny (tiny@"
has 'import again' "$(imgadm import -q $tiny)" 'is already installed, skipping'
has 'import by name' "$(imgadm import -q tiny@1.0.0)" "Image $tiny (tiny@1.0.0) is already installed, skipping"
out=$(imgadm import -q tiny@9 2>&1); rc=$?
has 'a version that there is not' "$rc $out" '1 imgadm import: error (ActiveImageNotFound): an active image called "tiny@9"'
out=$(imgadm import -q 1234-5 2>&1); rc=$?
has 'a broken uuid' "$rc $out" '1 imgadm import: error (InvalidUUID): invalid uuid: "1234-5"'
is 'get' "$(imgadm get $tiny | jq -r .source)" "$source_url"
ok 'its root is there' bash -c "zfs clone zones/$tiny@final zones/t && test -x /zones/t/root/bin/busybox && zfs destroy zones/t"
out=$(imgadm import -q $u1 2>&1); rc=$?
has 'an unknown image' "$rc $out" "1 imgadm import: error (ActiveImageNotFound)"
out=$(imgadm -E import -q $u1 2>&1 | tail -1)
is '-E ends with JSON' "$(jq -r .code <<<"$out")" ActiveImageNotFound
# --- images of a VM: whole, changed, prepared by a script, only what differs
v=ffffffff-5555-4555-8555-555555555555
echo "{\"brand\":\"lx\",\"uuid\":\"$v\",\"kernel_version\":\"6.12.0\",\"image_uuid\":\"$tiny\",\"max_physical_memory\":64,\"quota\":1}" | vmadm create 2>/dev/null
has 'create: not of a running VM' "$(imgadm create -q $v name=x version=1 2>&1)" VmNotStopped
vmadm stop -F $v 2>/dev/null
echo 'echo mine > /prepared; echo done' > prep.sh
echo 'echo no such thing; exit 3' > bad.sh
vm_state() { zfs list -H -o name -t all -r zones/$v; ls /zones/$v/root; vmadm list -H -o state uuid=$v; }
before2=$(vm_state)
has 'create: a script that fails' "$(imgadm create -q -s bad.sh $v name=x version=1 2>&1)" '(exit status 3): no such thing'
is 'leaves the VM as it was' "$(vm_state)" "$before2"
ok 'create: with a script' imgadm create -q -s prep.sh -o whole $v name=whole version=1
is 'whose doings are taken back' "$(vm_state)" "$before2"
ok 'create: what differs' imgadm create -q -i -c none -o inc $v name=inc version=1
[ $(stat -c %s inc.zfs) -lt $(stat -c %s whole.zfs.gz) ]; is 'is smaller' $? 0
for i in whole inc; do ok "install $i" imgadm install -q -m $i.imgmanifest -f $(ls $i.zfs*); done
is 'it was prepared' "$(zfs clone zones/$(jq -r .uuid whole.imgmanifest)@final zones/t; cat /zones/t/root/prepared; zfs destroy zones/t)" mine
has 'ancestry' "$(imgadm ancestry -H -o uuid $(jq -r .uuid inc.imgmanifest) | tail -1)" $tiny
has 'an image that others are made of stays' "$(imgadm delete $tiny 2>&1)" ImageHasDependentClones
for i in inc whole; do ok "delete $i" imgadm delete $(jq -r .uuid $i.imgmanifest); done
vmadm delete $v 2>/dev/null

ok 'delete' imgadm delete $tiny
is 'all as before' "$(state)" "$before"
echo end
