/* Files by their directory entry: the fsinfo and vfs providers. */
#pragma D depends_on library procfs.d

translator fileinfo_t < struct dentry *D > {
	fi_name = stringof(D->d_name.name);
	fi_dirname = dirname(d_file_path(D));
	fi_pathname = d_file_path(D);
	fi_offset = 0;
	fi_fs = stringof(D->d_sb->s_type->name);
	fi_mount = d_file_mount(D);
	fi_oflags = 0;
};
