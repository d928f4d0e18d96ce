/*
 * One container a machine: the IOMMU's page table that all of its groups share, in which RAM is
 * where the guest has it.  Device memory (BARs of others, flash) is not in it: no DMA goes there.
 */
#include "vmm/backend/vfio.h"

#include "vmm/device.h"

#define MAX_GROUPS 16

struct container {
	int fd;
	unsigned n_groups;
	struct {
		int number, fd;
	} group[MAX_GROUPS];
};

static void
container_free(void *arg)
{
	struct container *c = arg;

	for (unsigned i = 0; i < c->n_groups; i++)
		close(c->group[i].fd);
	cleanup_closep(&c->fd);
	free(c);
}

/* Of this machine; the part outlives its devices. */
static int
container_of_vm(struct vm *vm, struct container **ret, struct error *err)
{
	struct pci_dev *owner = vm->part_owner;

	*ret = vm_find_part(vm, "vfio");
	if (*ret)
		return 0;
	*ret = xcalloc(1, sizeof(**ret));
	(*ret)->fd = -1;
	vm->part_owner = NULL;
	vm_add_part(vm, &(struct vm_part){.name = "vfio", .free = container_free, .arg = *ret});
	vm->part_owner = owner;
	return vfio_container_open(&(*ret)->fd, err);
}

static int
join_group(struct container *c, int number, const struct mem *m, int *ret_fd, struct error *err)
{
	bool first = c->n_groups == 0;

	for (unsigned i = 0; i < c->n_groups; i++)
		if (c->group[i].number == number) {
			*ret_fd = c->group[i].fd;
			return 0;
		}
	if (c->n_groups == MAX_GROUPS)
		return error_set(err, E2BIG, "more than %d IOMMU groups", MAX_GROUPS);
	TRY(vfio_group_open(c->fd, number, first, ret_fd, err));
	c->group[c->n_groups].number = number;
	c->group[c->n_groups++].fd = *ret_fd;
	for (unsigned i = 0; first && i < MEM_RAM_SLOTS; i++)
		if (m->slot[i].size)
			TRY(vfio_map(c->fd, m->slot[i].gpa, m->slot[i].hva, m->slot[i].size, err));
	return 0;
}

int
vfio_open(struct vm *vm, const char *host, int group, struct vfio_device *ret, struct error *err)
{
	struct container *c;
	int fd;

	if (group < 0)
		TRY(vfio_group_of(host, &group, err));
	TRY(container_of_vm(vm, &c, err));
	TRY(join_group(c, group, &vm->mem, &fd, err));
	return vfio_device_open(fd, host, ret, err);
}
