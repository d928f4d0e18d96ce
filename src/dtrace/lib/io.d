/* Block I/O, as the io provider shows it: from a struct bio or a struct request. */
#pragma D depends_on library types.d
#pragma D depends_on library procfs.d

typedef struct bufinfo {
	int b_flags;		/* B_READ or B_WRITE, B_ASYNC, B_ERROR, B_PHYS */
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
	int dev_instance;
	string dev_name;	/* driver */
	string dev_statname;	/* "sda1" */
	string dev_pathname;	/* below /sys */
} devinfo_t;

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
	b_error = B->bi_status ? 5 : 0;
	b_edev = B->bi_bdev == 0 ? 0 : B->bi_bdev->bd_dev;
};

translator bufinfo_t < struct request *R > {
	b_flags = d_bio_flags[R->cmd_flags];
	b_bcount = R->__data_len;
	b_addr = 0;
	b_lblkno = R->__sector;
	b_blkno = R->__sector;
	b_resid = R->resid_len;
	b_bufsize = R->__data_len;
	b_iodone = (caddr_t)R->end_io;
	b_error = 0;
	b_edev = R->part == 0 ? 0 : R->part->bd_dev;
};

translator devinfo_t < struct block_device *D > {
	dev_major = D->bd_dev >> 20;
	dev_minor = D->bd_dev & 0xfffff;
	dev_instance = 0;
	dev_name = D->bd_disk->disk_name;
	dev_statname = stringof(D->bd_device.kobj.name);
	dev_pathname = ddi_pathname(&D->bd_device, 0);
};

translator devinfo_t < struct bio *B > {
	dev_major = B->bi_bdev->bd_dev >> 20;
	dev_minor = B->bi_bdev->bd_dev & 0xfffff;
	dev_instance = 0;
	dev_name = B->bi_bdev->bd_disk->disk_name;
	dev_statname = stringof(B->bi_bdev->bd_device.kobj.name);
	dev_pathname = ddi_pathname(&B->bi_bdev->bd_device, 0);
};

translator devinfo_t < struct request *R > {
	dev_major = R->q->disk->major;
	dev_minor = R->part == 0 ? R->q->disk->first_minor : R->part->bd_dev & 0xfffff;
	dev_instance = 0;
	dev_name = R->q->disk->disk_name;
	/* A flush is for the whole disk. */
	dev_statname = R->part == 0 ? stringof(R->q->disk->disk_name) :
	    stringof(R->part->bd_device.kobj.name);
	dev_pathname = ddi_pathname(&R->part->bd_device, 0);
};

/* The file a bio's first page belongs to is known by its inode alone. */
translator fileinfo_t < struct bio *B > {
	fi_name = "<none>";
	fi_dirname = "<none>";
	fi_pathname = "<none>";
	fi_offset = 0;
	fi_fs = "<none>";
	fi_mount = "<none>";
	fi_oflags = 0;
};

translator fileinfo_t < struct request *R > {
	fi_name = "<none>";
	fi_dirname = "<none>";
	fi_pathname = "<none>";
	fi_offset = 0;
	fi_fs = "<none>";
	fi_mount = "<none>";
	fi_oflags = 0;
};
