/*
 * One container a machine: the IOMMU's page table that all of its groups share, in which RAM is
 * where the guest has it.  Device memory (BARs of others, flash) is not in it: no DMA goes there.
 *
 * A group must be the guest's as a whole, because its devices can reach each other without the
 * IOMMU seeing it; VFIO sees to that (VFIO_GROUP_FLAGS_VIABLE).
 */
#include "vmm/backend/vfio.h"

#include "vmm/device.h"

#define MAX_GROUPS 16

struct vfio {
	int container;
	unsigned n_groups;
	struct {
		int number, fd;
	} group[MAX_GROUPS];
};

static void
container_free(void *arg)
{
	struct vfio *v = arg;

	for (unsigned i = 0; i < v->n_groups; i++)
		close(v->group[i].fd);
	cleanup_closep(&v->container);
	free(v);
}

/* Of this machine; the part outlives its devices. */
static int
container_of_vm(struct vm *vm, struct vfio **ret, struct error *err)
{
	struct vm_part *part;
	struct pci_dev *owner = vm->part_owner;
	struct vfio *v;

	list_for_each(part, &vm->parts, link) {
		if (part->free == container_free) {
			*ret = part->arg;
			return 0;
		}
	}
	v = xcalloc(1, sizeof(*v));
	v->container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	vm->part_owner = NULL;
	vm_add_part(vm, &(struct vm_part){.name = "vfio", .free = container_free, .arg = v});
	vm->part_owner = owner;
	if (v->container < 0)
		return error_set_errno(err, errno, "/dev/vfio/vfio (is the module vfio-pci loaded?)");
	if (ioctl(v->container, VFIO_GET_API_VERSION) != VFIO_API_VERSION ||
	    !ioctl(v->container, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU))
		return error_set(err, ENOTSUP, "this node's VFIO has no IOMMU of type 1");
	*ret = v;
	return 0;
}

static int
group_of(const char *host, int *ret, struct error *err)
{
	cleanup_free char *path = str_printf("/sys/bus/pci/devices/%s/iommu_group", host);
	char to[256];
	ssize_t n = readlink(path, to, sizeof(to) - 1);

	if (n < 0)
		return errno == ENOENT && access("/sys/kernel/iommu_groups/0", F_OK) < 0 ?
			       error_set(err, ENODEV, "this node's IOMMU is off (firmware, or the "
					 "kernel's intel_iommu=on)") :
			       error_set_errno(err, errno, "%s", path);
	to[n] = '\0';
	if (!strrchr(to, '/') || str_to_int(strrchr(to, '/') + 1, ret) < 0)
		return error_set(err, EINVAL, "%s leads to %s", path, to);
	return 0;
}

/* The guest's RAM, where the guest has it. */
static int
map_ram(struct vfio *v, const struct mem *m, struct error *err)
{
	for (unsigned i = 0; i < MEM_RAM_SLOTS; i++) {
		struct vfio_iommu_type1_dma_map map = {
			.argsz = sizeof(map),
			.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
			.vaddr = (uintptr_t)m->slot[i].hva,
			.iova = m->slot[i].gpa,
			.size = m->slot[i].size,
		};

		if (map.size && ioctl(v->container, VFIO_IOMMU_MAP_DMA, &map) < 0)
			return error_set_errno(err, errno, "the guest's memory cannot be given to the "
					       "device (ulimit -l?)");
	}
	return 0;
}

static int
join_group(struct vfio *v, int number, const struct mem *m, int *ret_fd, struct error *err)
{
	cleanup_free char *path = str_printf("/dev/vfio/%d", number);
	struct vfio_group_status st = {.argsz = sizeof(st)};
	cleanup_close int fd = -1;

	for (unsigned i = 0; i < v->n_groups; i++)
		if (v->group[i].number == number) {
			*ret_fd = v->group[i].fd;
			return 0;
		}
	if (v->n_groups == MAX_GROUPS)
		return error_set(err, E2BIG, "more than %d IOMMU groups", MAX_GROUPS);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return error_set_errno(err, errno, "%s (is the device bound to vfio-pci?)", path);
	if (ioctl(fd, VFIO_GROUP_GET_STATUS, &st) < 0)
		return error_set_errno(err, errno, "%s", path);
	if (!(st.flags & VFIO_GROUP_FLAGS_VIABLE))
		return error_set(err, EBUSY, "another device of IOMMU group %d has a driver of the "
				 "host's: bind all of them to vfio-pci", number);
	if (ioctl(fd, VFIO_GROUP_SET_CONTAINER, &v->container) < 0)
		return error_set_errno(err, errno, "%s", path);
	if (v->n_groups == 0) {
		if (ioctl(v->container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) < 0)
			return error_set_errno(err, errno, "%s: IOMMU", path);
		TRY(map_ram(v, m, err));
	}
	v->group[v->n_groups].number = number;
	v->group[v->n_groups++].fd = *ret_fd = steal_fd(&fd);
	return 0;
}

/* A BAR with an MSI-X table in it may be mapped around the table only, on older kernels. */
static void
sparse_area(const uint8_t *info, struct vfio_region *r)
{
	const struct vfio_region_info *i = (const void *)info;

	r->map_from = 0;
	r->map_to = r->size;
	if (!(i->flags & VFIO_REGION_INFO_FLAG_CAPS))
		return;
	for (uint32_t at = i->cap_offset; at && at + sizeof(struct vfio_info_cap_header) <= i->argsz;) {
		const struct vfio_info_cap_header *h = (const void *)(info + at);
		const struct vfio_region_info_cap_sparse_mmap *s = (const void *)h;

		if (h->id == VFIO_REGION_INFO_CAP_SPARSE_MMAP) {
			r->map_from = s->nr_areas ? s->areas[0].offset : 0;
			r->map_to = s->nr_areas ? s->areas[0].offset + s->areas[0].size : 0;
		}
		at = h->next;
	}
}

static int
describe(struct vfio_device *d, struct error *err)
{
	for (unsigned i = 0; i < VFIO_PCI_NUM_REGIONS; i++) {
		union {
			struct vfio_region_info i;
			uint8_t bytes[1024];
		} u = {.i = {.argsz = sizeof(u), .index = i}};
		struct vfio_region *r = &d->region[i];

		if (ioctl(d->fd, VFIO_DEVICE_GET_REGION_INFO, &u) < 0)
			continue; /* no VGA, for one */
		r->size = u.i.size;
		r->offset = u.i.offset;
		r->mmap = u.i.flags & VFIO_REGION_INFO_FLAG_MMAP;
		sparse_area(u.bytes, r);
	}
	for (unsigned i = 0; i < VFIO_PCI_NUM_IRQS; i++) {
		struct vfio_irq_info info = {.argsz = sizeof(info), .index = i};

		if (ioctl(d->fd, VFIO_DEVICE_GET_IRQ_INFO, &info) == 0)
			d->n_irqs[i] = info.count;
	}
	if (d->region[VFIO_PCI_CONFIG_REGION_INDEX].size < 256)
		return error_set(err, ENOTSUP, "it shows no configuration space");
	return 0;
}

int
vfio_open(struct vm *vm, const char *host, int group, struct vfio_device *ret, struct error *err)
{
	struct vfio_device_info info = {.argsz = sizeof(info)};
	struct vfio *v = NULL;
	int fd = -1, r;

	if ((group < 0 && (r = group_of(host, &group, err)) < 0) ||
	    (r = container_of_vm(vm, &v, err)) < 0 ||
	    (r = join_group(v, group, &vm->mem, &fd, err)) < 0)
		return r;
	ret->fd = ioctl(fd, VFIO_GROUP_GET_DEVICE_FD, host);
	if (ret->fd < 0)
		return error_set_errno(err, errno, "%s", host);
	if (ioctl(ret->fd, VFIO_DEVICE_GET_INFO, &info) < 0 || !(info.flags & VFIO_DEVICE_FLAGS_PCI))
		return error_set(err, ENOTSUP, "%s is no PCI device", host);
	/* What the last one left in it is nobody's business; one that cannot is as it is. */
	if ((info.flags & VFIO_DEVICE_FLAGS_RESET) && ioctl(ret->fd, VFIO_DEVICE_RESET) < 0)
		return error_set_errno(err, errno, "%s: reset", host);
	r = describe(ret, err);
	return r < 0 ? error_wrap(err, r, "%s", host) : 0;
}

void
vfio_close(struct vfio_device *d)
{
	cleanup_closep(&d->fd);
}

static int
set(struct vfio_device *d, unsigned index, uint32_t what, const int *fds, unsigned n,
    struct error *err)
{
	size_t size = sizeof(struct vfio_irq_set) + n * sizeof(int);
	cleanup_free struct vfio_irq_set *s = xcalloc(1, size);

	s->argsz = (uint32_t)size;
	s->flags = what | (n ? VFIO_IRQ_SET_DATA_EVENTFD : VFIO_IRQ_SET_DATA_NONE);
	s->index = index;
	s->count = n;
	if (n)
		memcpy(s->data, fds, n * sizeof(int));
	if (ioctl(d->fd, VFIO_DEVICE_SET_IRQS, s) < 0)
		return error_set_errno(err, errno, "interrupts");
	return 0;
}

int
vfio_set_irqs(struct vfio_device *d, unsigned index, const int *fds, unsigned n, struct error *err)
{
	return set(d, index, VFIO_IRQ_SET_ACTION_TRIGGER, fds, n, err);
}

int
vfio_unmask_by(struct vfio_device *d, int fd, struct error *err)
{
	return set(d, VFIO_PCI_INTX_IRQ_INDEX, VFIO_IRQ_SET_ACTION_UNMASK, &fd, 1, err);
}
