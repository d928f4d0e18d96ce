/*
 * Registers as a table: where each stands, what of a device's struct it shows, and what a write
 * does to it.
 *
 *	static const struct reg regs[] = {
 *		REG(struct nic, NIC_CTRL, ctrl, .set = set_ctrl),	set_ctrl(dev, value) decides
 *		REG(struct nic, NIC_MASK, mask, .write = 0xff),		these bits are stored
 *		REG(struct nic, NIC_STATUS, status, .clears = ~0U),	ones clear
 *		REG64(struct nic, NIC_RING, ring, ~15U, .then = load_ring),
 *		{.at = NIC_VERSION, .value = 0x100},			says this, always
 *	};
 *
 * One that is not in the table, or says nothing of writes, reads as 0 and ignores them.
 */
#ifndef VMM_REGS_H
#define VMM_REGS_H

#include <stddef.h>
#include <stdint.h>

struct reg {
	unsigned at;
	uint16_t field; /* offset in the device's struct */
	uint8_t size;	/* of the field: 1, 2 or 4; 0: it has none */
	uint32_t value; /* without a field */
	uint32_t write, clears, sets; /* bits stored, cleared by a written 1, set by one */
	uint32_t (*get)(const void *dev); /* instead of the field */
	void (*set)(void *dev, uint32_t value); /* instead of storing */
	void (*then)(void *dev);		 /* after storing */
};

#define REG(type, where, name, ...)                                                     \
	{.at = (where), .field = offsetof(type, name), .size = sizeof(((type *)0)->name), \
	 __VA_ARGS__}
/* Two registers for a field of 64 bits; low: bits of the lower one that are stored. */
#define REG64(type, where, name, low, ...)                                                   \
	{.at = (where), .field = offsetof(type, name), .size = 4, .write = (low), ##__VA_ARGS__}, \
	{.at = (where) + 4, .field = offsetof(type, name) + 4, .size = 4, .write = ~0U,           \
	 ##__VA_ARGS__}

uint32_t regs_read(const struct reg *regs, size_t n, const void *dev, unsigned at);
void regs_write(const struct reg *regs, size_t n, void *dev, unsigned at, uint32_t value);

/* An access of any size, made of registers of 32 bits; writes are whole ones. */
uint64_t regs_split_read(uint32_t (*read)(void *dev, unsigned at), void *dev, uint64_t offset,
			 unsigned size);
void regs_split_write(void (*write)(void *dev, unsigned at, uint32_t value), void *dev,
		      uint64_t offset, unsigned size, uint64_t value);

#endif
