/* Files by their directory entry: the fsinfo and vfs providers. */
#pragma D depends_on library procfs.d

translator fileinfo_t < struct dentry *D > {
	fi_name = stringof(D->d_name.name);
	fi_dirname = stringof(D->d_parent->d_name.name);
	fi_pathname = strjoin(stringof(D->d_parent->d_name.name),
	    strjoin("/", stringof(D->d_name.name)));
	fi_offset = 0;
	fi_fs = stringof(D->d_sb->s_type->name);
	fi_mount = stringof(D->d_sb->s_id);
	fi_oflags = 0;
};
