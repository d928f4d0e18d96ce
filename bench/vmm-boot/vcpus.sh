# Inside L1 (`run vcpus.sh`): what further vcpus cost, of a machine whose threads all stand at their gate.
one=
for n in 1 2 5 9; do
	/bin/bhyve -c $n -m 256 -o suspend_at_boot=true -l kernel,/b/l2.bz -l com1,file,/dev/null vm$n & p=$!
	until bhyvectl status vm$n 2>/dev/null | grep -q .; do sleep 0.1; done
	line=$(probe --memory vcpus-$n $p)
	kb=${line##*anon_kb=}
	one=${one:-$kb}
	echo "$line further_kb=$((n > 1 ? (kb - one) / (n - 1) : 0))"
	kill -9 $p; wait $p 2>/dev/null
done
true
