/*
 * A group must be its owner's as a whole, because its devices can reach each other without the
 * IOMMU seeing it; VFIO sees to that (VFIO_GROUP_FLAGS_VIABLE).
 */
#include "os/vfio.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"

int
vfio_container_open(int *ret_fd, struct error *err)
{
	cleanup_close int fd = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return error_set_errno(err, errno, "/dev/vfio/vfio (is the module vfio-pci loaded?)");
	if (ioctl(fd, VFIO_GET_API_VERSION) != VFIO_API_VERSION ||
	    !ioctl(fd, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU))
		return error_set(err, ENOTSUP, "this node's VFIO has no IOMMU of type 1");
	*ret_fd = steal_fd(&fd);
	return 0;
}

int
vfio_group_of(const char *host, int *ret, struct error *err)
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

int
vfio_group_open(int container, int group, bool first, int *ret_fd, struct error *err)
{
	cleanup_free char *path = str_printf("/dev/vfio/%d", group);
	struct vfio_group_status st = {.argsz = sizeof(st)};
	cleanup_close int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return error_set_errno(err, errno, "%s (is the device bound to vfio-pci?)", path);
	if (ioctl(fd, VFIO_GROUP_GET_STATUS, &st) < 0)
		return error_set_errno(err, errno, "%s", path);
	if (!(st.flags & VFIO_GROUP_FLAGS_VIABLE))
		return error_set(err, EBUSY, "another device of IOMMU group %d has a driver of the "
				 "host's: bind all of them to vfio-pci", group);
	if (ioctl(fd, VFIO_GROUP_SET_CONTAINER, &container) < 0)
		return error_set_errno(err, errno, "%s", path);
	if (first && ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) < 0)
		return error_set_errno(err, errno, "%s: IOMMU", path);
	*ret_fd = steal_fd(&fd);
	return 0;
}

int
vfio_map(int container, uint64_t at, void *p, uint64_t size, struct error *err)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)p,
		.iova = at,
		.size = size,
	};

	if (ioctl(container, VFIO_IOMMU_MAP_DMA, &map) < 0)
		return error_set_errno(err, errno, "memory cannot be given to the device (ulimit -l?)");
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
vfio_device_open(int group_fd, const char *host, struct vfio_device *ret, struct error *err)
{
	struct vfio_device_info info = {.argsz = sizeof(info)};
	int r;

	ret->fd = ioctl(group_fd, VFIO_GROUP_GET_DEVICE_FD, host);
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
