/* Within the AHCI controller: dev/ahci.c has ports and lists, dev/ata.c what the commands mean. */
#ifndef VMM_DEV_AHCI_H
#define VMM_DEV_AHCI_H

#include "vmm/backend/blk_worker.h"
#include "vmm/backend/scsi.h"
#include "vmm/virtio/virtq.h"

enum { AHCI_PORTS = 6, AHCI_SLOTS = 32 };
/* Status: DRDY and seek complete, or DRDY and error; ABORTED is an error. */
enum { ATA_READY = 0x50, ATA_ERROR = 0x41, ATA_ABORTED = 4 };

struct ahci_port;

struct ahci_slot {
	struct ahci_port *port;
	unsigned n;
	bool queued, pio;
	uint8_t fis[20];
	uint64_t table;
	struct blk_req io;
	struct iovec *iov;
	unsigned n_iov;
	uint64_t room; /* bytes the PRDs hold */
	struct {
		uint64_t offset, len;
	} range[64]; /* of a TRIM, one after the other */
	unsigned n_ranges, at_range;
};

struct ahci_port {
	struct ahci *hba;
	unsigned n;
	struct scsi_lun lun;
	struct blk_worker worker;
	/* Registers, under the controller's lock. */
	uint64_t clb, fb;
	uint32_t is, ie, cmd, tfd, sctl, serr, sact, ci;
	/* The worker's. */
	struct ahci_slot slot[AHCI_SLOTS];
	uint32_t taken, done_bits; /* done_bits: queued commands to report */
	unsigned n_queued;
	bool alone, halted;	   /* a command that wants the port for itself; after an error */
	uint8_t error_log[512];
	struct scsi_cmd packet;
};

struct ahci {
	struct pci_dev pci;
	pthread_mutex_t control, lock;
	uint32_t ghc, is;
	unsigned n_ports;
	struct ahci_port port[AHCI_PORTS];
};

/* ata.c: looks at a slot's command, in the port's worker. */
void ata_start(struct ahci_slot *s);
/* A back end's operation of ata_start() has ended. */

/* ahci.c: ends a command; error is the task file's register, 0 for success. */
void ahci_finish(struct ahci_slot *s, uint64_t moved, uint8_t error);

static inline const struct blk_info *
ahci_disk(const struct ahci_port *p)
{
	return blk_info(p->lun.blk);
}

#endif
