/* Block I/O, as the io provider shows it: from a struct bio or a struct request. */
#pragma D depends_on library types.d
#pragma D depends_on library procfs.d
#pragma D depends_on library errno.d

typedef struct bufinfo {
	int b_flags;		/* B_READ or B_WRITE, B_ASYNC, B_PHYS; when it is done, B_DONE, B_ERROR */
	size_t b_bcount;	/* bytes */
	caddr_t b_addr;		/* of the buffer, 0 if it has none in the kernel's map */
	uint64_t b_lblkno;
	uint64_t b_blkno;	/* sector of 512 bytes on the device */
	size_t b_resid;		/* bytes not done */
	size_t b_bufsize;
	caddr_t b_iodone;	/* called at the end */
	int b_error;		/* errno */
	dev_t b_edev;
} bufinfo_t;

typedef struct devinfo {
	int dev_major;
	int dev_minor;
	int dev_instance;	/* the driver's how-manieth */
	string dev_name;	/* driver */
	string dev_statname;	/* "sda1" */
	string dev_pathname;	/* below /sys */
} devinfo_t;

/* What went wrong with a request, as an errno: blk_status_t's numbers. */
inline int d_block_errno[int status] =
	status == 0 ? 0 : status == 1 ? EOPNOTSUPP : status == 2 ? ETIMEDOUT : status == 3 ? ENOSPC :
	status == 4 ? ENOLINK : status == 5 ? EREMOTEIO : status == 6 ? EBADE : status == 7 ? ENODATA :
	status == 8 ? EILSEQ : status == 9 ? ENOMEM : status == 12 ? EAGAIN : status == 13 ? EBUSY : EIO;

inline int d_bio_flags[unsigned int opf] =
	(opf & 1 ? B_WRITE : B_READ) | (opf & (1 << 11) ? 0 : B_ASYNC) | B_PHYS;

translator bufinfo_t < struct bio *B > {
	b_flags = d_bio_flags[B->bi_opf] | (B->bi_status ? B_ERROR : 0);
	b_bcount = B->bi_iter.bi_size;
	b_addr = 0;
	b_lblkno = B->bi_iter.bi_sector;
	b_blkno = B->bi_iter.bi_sector;
	b_resid = 0;
	b_bufsize = B->bi_iter.bi_size;
	b_iodone = (caddr_t)B->bi_end_io;
	b_error = d_block_errno[B->bi_status];
	b_edev = B->bi_bdev == 0 ? 0 : B->bi_bdev->bd_dev;
};

inline struct block_device *d_request_bdev[struct request *R] =
	R->part == 0 ? R->q->disk->part0 : R->part;

translator bufinfo_t < struct request *R > {
	b_flags = d_bio_flags[R->cmd_flags];
	b_bcount = R->__data_len;
	b_addr = 0;
	b_lblkno = R->__sector;
	b_blkno = R->__sector;
	b_resid = 0;
	b_bufsize = R->__data_len;
	b_iodone = (caddr_t)(R->end_io != 0 ? (uint64_t)R->end_io :
	    R->bio == 0 ? 0 : (uint64_t)R->bio->bi_end_io);
	b_error = 0;
	b_edev = d_request_bdev[R]->bd_dev;
};

/* A buffer's numbers are of its own blocks, not of sectors. */
translator bufinfo_t < struct buffer_head *B > {
	b_flags = B_READ | B_BUSY;
	b_bcount = B->b_size;
	b_addr = (caddr_t)B->b_data;
	b_lblkno = B->b_blocknr;
	b_blkno = B->b_blocknr * (B->b_size >> 9);
	b_resid = 0;
	b_bufsize = B->b_size;
	b_iodone = (caddr_t)B->b_end_io;
	b_error = B->b_state & 1 ? 0 : EIO;
	b_edev = B->b_bdev->bd_dev;
};

/* A disk has the name of its driver; what has none (loop, zvol), that of the module, or its own. */
inline string d_driver[struct block_device *D] =
	D->bd_disk->part0->bd_device.parent != 0 && D->bd_disk->part0->bd_device.parent->driver != 0 ?
	    stringof(D->bd_disk->part0->bd_device.parent->driver->name) :
	D->bd_disk->fops->owner != 0 ? stringof(D->bd_disk->fops->owner->name) : D->bd_disk->disk_name;

translator devinfo_t < struct block_device *D > {
	dev_major = D->bd_dev >> 20;
	dev_minor = D->bd_dev & 0xfffff;
	dev_instance = D->bd_disk->minors == 0 ? D->bd_disk->first_minor :
	    D->bd_disk->first_minor / D->bd_disk->minors;
	dev_name = d_driver[D];
	dev_statname = stringof(D->bd_device.kobj.name);
	dev_pathname = ddi_pathname(&D->bd_device, 0);
};

/*
 * What the provider's probes have: a struct request, or, at an odd address, the struct bio before
 * it, or, two behind its address, a struct buffer_head.
 */
typedef struct d_io {
	char d_kind;
} d_io_t;

inline struct request *d_io_request[d_io_t *I] = (struct request *)I;
inline struct bio *d_io_bio[d_io_t *I] = (struct bio *)((uint64_t)I - 1);
inline struct buffer_head *d_io_buffer[d_io_t *I] = (struct buffer_head *)((uint64_t)I - 2);

inline struct block_device *d_io_bdev[d_io_t *I] =
	(uint64_t)I & 1 ? d_io_bio[I]->bi_bdev :
	(uint64_t)I & 2 ? d_io_buffer[I]->b_bdev : d_request_bdev[d_io_request[I]];

/* arg7 of io:::done is 256 and how the request ended; of the others 0. */
translator bufinfo_t < d_io_t *I > {
	b_flags = ((uint64_t)I & 1 ? xlate <bufinfo_t> (d_io_bio[I]).b_flags :
	    (uint64_t)I & 2 ? xlate <bufinfo_t> (d_io_buffer[I]).b_flags :
	    xlate <bufinfo_t> (d_io_request[I]).b_flags) |
	    (arg7 == 0 ? 0 : arg7 == 256 ? B_DONE : B_DONE | B_ERROR);
	b_bcount = (uint64_t)I & 1 ? xlate <bufinfo_t> (d_io_bio[I]).b_bcount :
	    (uint64_t)I & 2 ? xlate <bufinfo_t> (d_io_buffer[I]).b_bcount :
	    xlate <bufinfo_t> (d_io_request[I]).b_bcount;
	b_addr = (uint64_t)I & 1 ? xlate <bufinfo_t> (d_io_bio[I]).b_addr :
	    (uint64_t)I & 2 ? xlate <bufinfo_t> (d_io_buffer[I]).b_addr :
	    xlate <bufinfo_t> (d_io_request[I]).b_addr;
	b_lblkno = (uint64_t)I & 1 ? xlate <bufinfo_t> (d_io_bio[I]).b_lblkno :
	    (uint64_t)I & 2 ? xlate <bufinfo_t> (d_io_buffer[I]).b_lblkno :
	    xlate <bufinfo_t> (d_io_request[I]).b_lblkno;
	b_blkno = (uint64_t)I & 1 ? xlate <bufinfo_t> (d_io_bio[I]).b_blkno :
	    (uint64_t)I & 2 ? xlate <bufinfo_t> (d_io_buffer[I]).b_blkno :
	    xlate <bufinfo_t> (d_io_request[I]).b_blkno;
	b_resid = arg7 > 256 ? d_io_request[I]->__data_len : 0;
	b_bufsize = (uint64_t)I & 1 ? xlate <bufinfo_t> (d_io_bio[I]).b_bufsize :
	    (uint64_t)I & 2 ? xlate <bufinfo_t> (d_io_buffer[I]).b_bufsize :
	    xlate <bufinfo_t> (d_io_request[I]).b_bufsize;
	b_iodone = (uint64_t)I & 1 ? xlate <bufinfo_t> (d_io_bio[I]).b_iodone :
	    (uint64_t)I & 2 ? xlate <bufinfo_t> (d_io_buffer[I]).b_iodone :
	    xlate <bufinfo_t> (d_io_request[I]).b_iodone;
	b_error = (uint64_t)I & 1 ? xlate <bufinfo_t> (d_io_bio[I]).b_error :
	    (uint64_t)I & 2 ? xlate <bufinfo_t> (d_io_buffer[I]).b_error :
	    d_block_errno[arg7 & 255];
	b_edev = d_io_bdev[I] == 0 ? 0 : d_io_bdev[I]->bd_dev;
};

translator devinfo_t < d_io_t *I > {
	dev_major = xlate <devinfo_t> (d_io_bdev[I]).dev_major;
	dev_minor = xlate <devinfo_t> (d_io_bdev[I]).dev_minor;
	dev_instance = xlate <devinfo_t> (d_io_bdev[I]).dev_instance;
	dev_name = xlate <devinfo_t> (d_io_bdev[I]).dev_name;
	dev_statname = xlate <devinfo_t> (d_io_bdev[I]).dev_statname;
	dev_pathname = xlate <devinfo_t> (d_io_bdev[I]).dev_pathname;
};

/*
 * The file that the data's first page is of.  What is of none says <none>: what a process moves with
 * O_DIRECT, a filesystem's own blocks, ZFS' buffers, what is swapped.
 */
inline struct dentry *d_file[struct page *P] = (struct dentry *)d_page_file(P);

/* Of a page inside a larger folio, the folio. */
inline struct folio *d_folio[struct page *P] =
	(struct folio *)(P->compound_head & 1 ? P->compound_head - 1 : (uint64_t)P);

translator fileinfo_t < struct page *P > {
	fi_name = d_file[P] == 0 ? "<none>" : stringof(d_file[P]->d_name.name);
	fi_dirname = d_file[P] == 0 ? "<none>" : dirname(d_file_path(d_file[P]));
	fi_pathname = d_file[P] == 0 ? "<none>" : d_file_path(d_file[P]);
	fi_offset = d_file[P] == 0 ? 0 : (d_folio[P]->index +
	    ((uint64_t)P - (uint64_t)d_folio[P]) / sizeof(struct page)) << 12;
	fi_fs = d_file[P] == 0 ? "<none>" : stringof(d_file[P]->d_sb->s_type->name);
	fi_mount = d_file[P] == 0 ? "<none>" : d_file_mount(d_file[P]);
	fi_oflags = 0;
};
