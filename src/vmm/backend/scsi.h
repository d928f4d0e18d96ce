/*
 * A SCSI logical unit, disk (SPC-4, SBC-3) or CD-ROM (MMC-6): what virtio-scsi
 * and AHCI's packet interface have in common.
 *
 * scsi_start() looks at a command.  Most are answered at once; those that move
 * sectors come back as an operation for the block back end, whose result
 * scsi_finish() turns into a status.  Nothing here touches guest memory.
 */
#ifndef VMM_BACKEND_SCSI_H
#define VMM_BACKEND_SCSI_H

#include "vmm/backend/blk.h"

#define SCSI_CDB_LEN 32
#define SCSI_ANSWER_MAX 512
enum { SCSI_SENSE_LEN = 18, SCSI_UNMAP_MAX = 24 /* bytes of parameters that matter: one range */ };

enum { SCSI_GOOD = 0, SCSI_CHECK_CONDITION = 2 };
enum scsi_next { SCSI_DONE, SCSI_IO };

struct scsi_lun {
	struct blk *blk;
	bool cdrom;
	const char *model;		/* 16 characters at most */
	uint8_t sense[SCSI_SENSE_LEN];	/* of the last command, for REQUEST SENSE */
};

struct scsi_cmd {
	uint8_t cdb[SCSI_CDB_LEN];
	/* Set by the caller before scsi_start(): the first bytes the initiator sends. */
	uint8_t out[SCSI_UNMAP_MAX];
	size_t out_len;
	uint8_t status;
	uint8_t sense[SCSI_SENSE_LEN];
	uint8_t answer[SCSI_ANSWER_MAX];
	size_t answer_len;
	/* With SCSI_IO: what is to be done. */
	enum blk_op op;
	uint64_t offset, len;
};

enum scsi_next scsi_start(struct scsi_lun *l, struct scsi_cmd *c);
/* result: 0 or a negative errno. */
void scsi_finish(struct scsi_lun *l, struct scsi_cmd *c, int result);
/* Ends a command the transport cannot carry out: its buffer is shorter than its data. */
void scsi_refuse(struct scsi_lun *l, struct scsi_cmd *c);

#endif
