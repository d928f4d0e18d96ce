/* The least that counting, keying, ... a system call can cost: written by hand for each row. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define NR_GETPPID 110

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

struct comm {
	char text[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct comm);
	__type(value, __u64);
} keyed SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u64);
} buckets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 << 20);
} ring SEC(".maps");

struct record {
	__u32 pid, tid;
	char comm[16];
};

struct stack {
	__u64 address[20];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct stack);
	__type(value, __u64);
} stacks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct stack);
} scratch SEC(".maps");

__u64 lost; /* records that found no room */

static const __u32 zero;
static const __u64 one = 1;

static void
count_one(void)
{
	__u64 *n = bpf_map_lookup_elem(&counts, &zero);

	if (n)
		++*n;
}

/* A function of the kernel that is called as often: by a trampoline, and as one of several. */
SEC("fentry/__do_sys_getppid")
int function(void *ctx)
{
	count_one();
	return 0;
}

SEC("kprobe.multi/__do_sys_getp*")
int functions(void *ctx)
{
	count_one();
	return 0;
}

SEC("raw_tp/sys_enter")
int count(struct bpf_raw_tracepoint_args *ctx)
{
	if (ctx->args[1] == NR_GETPPID)
		count_one();
	return 0;
}

SEC("raw_tp/sys_enter")
int key(struct bpf_raw_tracepoint_args *ctx)
{
	struct comm c;
	__u64 *n;

	if (ctx->args[1] != NR_GETPPID)
		return 0;
	bpf_get_current_comm(&c, sizeof(c));
	n = bpf_map_lookup_elem(&keyed, &c);
	if (n)
		++*n;
	else
		bpf_map_update_elem(&keyed, &c, &one, BPF_NOEXIST);
	return 0;
}

SEC("raw_tp/sys_enter")
int quantize(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 v = bpf_get_current_pid_tgid() >> 32, *n;
	__u32 bucket = 0;

	if (ctx->args[1] != NR_GETPPID)
		return 0;
	for (int bits = 32; bits; bits /= 2) {
		if (v >> bits) {
			v >>= bits;
			bucket += bits;
		}
	}
	n = bpf_map_lookup_elem(&buckets, &bucket);
	if (n)
		++*n;
	return 0;
}

SEC("raw_tp/sys_enter")
int trace(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 id = bpf_get_current_pid_tgid();
	struct record *r;

	if (ctx->args[1] != NR_GETPPID)
		return 0;
	r = bpf_ringbuf_reserve(&ring, sizeof(*r), 0);
	if (!r) {
		__sync_fetch_and_add(&lost, 1);
		return 0;
	}
	r->pid = id >> 32;
	r->tid = (__u32)id;
	bpf_get_current_comm(r->comm, sizeof(r->comm));
	bpf_ringbuf_submit(r, 0);
	return 0;
}

SEC("raw_tp/sys_enter")
int ustack(struct bpf_raw_tracepoint_args *ctx)
{
	struct stack *s;
	__u64 *n;

	if (ctx->args[1] != NR_GETPPID)
		return 0;
	s = bpf_map_lookup_elem(&scratch, &zero);
	if (!s)
		return 0;
	__builtin_memset(s, 0, sizeof(*s));
	bpf_get_stack(ctx, s, sizeof(*s), BPF_F_USER_STACK);
	n = bpf_map_lookup_elem(&stacks, s);
	if (n)
		++*n;
	else
		bpf_map_update_elem(&stacks, s, &one, BPF_NOEXIST);
	return 0;
}

char licence[] SEC("license") = "GPL";
