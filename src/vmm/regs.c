#include "vmm/regs.h"

#include <string.h>

static const struct reg *
find(const struct reg *regs, size_t n, unsigned at)
{
	for (size_t i = 0; i < n; i++) {
		if (regs[i].at == at)
			return &regs[i];
	}
	return NULL;
}

uint32_t
regs_read(const struct reg *regs, size_t n, const void *dev, unsigned at)
{
	const struct reg *r = find(regs, n, at);
	uint32_t v = r ? r->value : 0;

	if (r && r->get)
		return r->get(dev);
	if (r && r->size)
		memcpy(&v, (const uint8_t *)dev + r->field, r->size);
	return v;
}

void
regs_write(const struct reg *regs, size_t n, void *dev, unsigned at, uint32_t value)
{
	const struct reg *r = find(regs, n, at);
	uint32_t v = 0;

	if (!r)
		return;
	if (r->set) {
		r->set(dev, value);
		return;
	}
	memcpy(&v, (uint8_t *)dev + r->field, r->size);
	v = ((v & ~r->write) | (value & r->write) | (value & r->sets)) & ~(value & r->clears);
	memcpy((uint8_t *)dev + r->field, &v, r->size);
	if (r->then)
		r->then(dev);
}

uint64_t
regs_split_read(uint32_t (*read)(void *dev, unsigned at), void *dev, uint64_t offset, unsigned size)
{
	unsigned at = (unsigned)offset & ~3U;
	uint64_t v = read(dev, at) >> (8 * (offset & 3));

	return size == 8 ? v | (uint64_t)read(dev, at + 4) << 32 : v;
}

void
regs_split_write(void (*write)(void *dev, unsigned at, uint32_t value), void *dev, uint64_t offset,
		 unsigned size, uint64_t value)
{
	if (offset % 4 || size < 4)
		return;
	write(dev, (unsigned)offset, (uint32_t)value);
	if (size == 8)
		write(dev, (unsigned)offset + 4, (uint32_t)(value >> 32));
}
