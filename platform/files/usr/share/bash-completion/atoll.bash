# Completion of Atoll's commands, read by /etc/profile.  What a command can do, its own --help says:
# nothing of it is written here again.  Only operands are: names of VMs, images, services, links ...

# A service's name has colons in it, which must not end a word.
COMP_WORDBREAKS=${COMP_WORDBREAKS//:/}

# The verbs of a command: first words of the lines in its --help that are indented by no more than four.
_atoll_verbs()
{
	case $1 in
	svcadm) svcadm --help | sed -n 's/.*svcadm \[-v\] \([a-z]*\).*/\1/p' ;;
	*) "$1" --help 2>/dev/null | sed -n 's/^ \{2,4\}\([a-z][a-z-]*\)\( .*\)\?$/\1/p' ;;
	esac
}

# Options in a usage text: "[-jH] [-o FIELD]" are -j -H -o; numbers and --words are themselves.
_atoll_options()
{
	grep -oE -- '[[ |]--?[A-Za-z0-9][A-Za-z0-9-]*' <<<"$1" | sed 's/^.//' | while read -r word; do
		if [[ $word == --* || $word == -[0-9]* ]]; then
			echo "$word"
		else
			grep -o . <<<"${word#-}" | sed 's/^/-/'
		fi
	done | sort -u
}

_atoll_zones() { zoneadm list -"${1:-}" 2>/dev/null | grep -vx global; }
_atoll_services() { svcs -aH -o fmri 2>/dev/null | if [[ $1 == svc:* ]]; then cat; else sed 's,^svc:/,,'; fi; }

# What may stand for an operand: command, verb ('' if it has none), the word so far.
_atoll_operands()
{
	case $1:$2 in
	vmadm:list | vmadm:lookup) printf '%s=\n' uuid alias brand state type ram hostname owner_uuid image_uuid tags. ;;
	vmadm:validate) printf '%s\n' create update receive joyent lx kvm bhyve ;;
	vmadm:create | vmadm:receive) ;;
	vmadm:start | vmadm:boot) vmadm lookup state=stopped ;;
	vmadm:stop | vmadm:reboot | vmadm:console | vmadm:kill | vmadm:info | vmadm:sysrq) vmadm lookup state=running ;;
	vmadm:* | imgadm:create) vmadm lookup ;;
	imgadm:get | imgadm:delete | imgadm:ancestry | imgadm:update) imgadm list -H -o uuid ;;
	dladm:*) dladm show-link -p -o link ;;
	ipadm:*-addr) ipadm show-addr -p -o addrobj ;;
	ipadm:*-if) ipadm show-if -p -o ifname ;;
	nictagadm:*) nictagadm list -p | cut -d: -f1 ;;
	svcadm:milestone) printf '%s\n' all none; _atoll_services "$3" | grep milestone ;;
	svcadm:* | svcs: | svcprop: | svccfg:) _atoll_services "$3" ;;
	piadm:activate | piadm:remove) piadm list -H | cut -d' ' -f1 ;;
	zlogin:) _atoll_zones ;;
	bhyvectl:*) ls /run/bhyve | sed -n 's/\.sock$//p' ;;
	esac 2>/dev/null
}

# What follows an option that takes something: 1 if that is not known, 2 if these are files.
_atoll_argument()
{
	case $1:$2 in
	zoneadm:-z | zonecfg:-z | zlogin:-z | zonememstat:-z | dladm:-z | dtrace:-z) _atoll_zones c ;;
	dladm:-l) dladm show-link -p -o link 2>/dev/null ;;
	svccfg:-s | svcs:-R) _atoll_services "$3" ;;
	vmadm:-f | imgadm:-f | imgadm:-m | imgadm:-o | dtrace:-s | dtrace:-o | svccfg:-f | zonecfg:-f | bhyve:-k | json:-f)
		compgen -f -- "$3"
		return 2 ;;
	dtrace:-p | plockstat:-p) ls /proc | grep -x '[0-9]*' ;;
	*) return 1 ;;
	esac
}

_atoll()
{
	local command=${COMP_WORDS[0]##*/} cur=${COMP_WORDS[COMP_CWORD]} verb='' at=1 words word
	case $command in
	vmadm | imgadm | dladm | ipadm | nictagadm | piadm | svcadm | bhyvectl | zoneadm)
		# Behind the options of the command itself (zoneadm -z ZONE, svcadm -v).
		while [[ $at -lt $COMP_CWORD && ${COMP_WORDS[at]} == -* ]]; do
			[[ ${COMP_WORDS[at]} == -[zuR] ]] && at=$((at + 1))
			at=$((at + 1))
		done
		[ $at -ge "$COMP_CWORD" ] || verb=${COMP_WORDS[at]}
		;;
	*)	at=-1 ;;
	esac
	words=$(_atoll_argument "$command" "${COMP_WORDS[COMP_CWORD - 1]}" "$cur")
	case $? in
	1)	if [[ $cur == -* ]]; then
			words=$(_atoll_options "$("$command" ${verb:+"$verb"} --help 2>/dev/null | sed -n '/^usage:/,/^$/p')")
		elif [ $at -ge 0 ] && [ -z "$verb" ]; then
			words=$(_atoll_verbs "$command")
		else
			words=$(_atoll_operands "$command" "$verb" "$cur")
		fi ;;
	2)	compopt -o filenames ;;
	esac
	# Not by compgen -W, which would run what a file's name has in $( ).
	COMPREPLY=()
	while IFS= read -r word; do
		[[ -z $word || $word != "$cur"* ]] || COMPREPLY+=("$word")
	done <<<"$words"
	[[ ${COMPREPLY[0]} != *[=.] ]] || compopt -o nospace
}
complete -F _atoll vmadm imgadm dladm ipadm nictagadm piadm svcadm svcs svcprop svccfg \
	zoneadm zonecfg zlogin zonememstat bhyve bhyvectl dtrace lockstat plockstat intrstat json
