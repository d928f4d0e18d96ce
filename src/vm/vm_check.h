/*
 * Checks of single values: NULL if the value is good, else what it must be, as
 * the end of the sentence "VALUE is not ...".
 */
#ifndef VM_VM_CHECK_H
#define VM_VM_CHECK_H

const char *vm_is_text(const char *v);
const char *vm_is_word(const char *v);
const char *vm_is_zonename(const char *v);
const char *vm_is_hostname(const char *v);
const char *vm_is_pool(const char *v);
const char *vm_is_dataset(const char *v);
const char *vm_is_path(const char *v);
/* A UUID, or the name of an image, or name@version. */
const char *vm_is_image(const char *v);
const char *vm_is_kernel_version(const char *v);
const char *vm_is_priv(const char *v);
const char *vm_is_ip(const char *v);
const char *vm_is_ipv4(const char *v);
const char *vm_is_ipv4_or_dhcp(const char *v);
const char *vm_is_ip_or_cidr(const char *v);
const char *vm_is_nic_ip(const char *v);
const char *vm_is_netmask(const char *v);
const char *vm_is_mac(const char *v);
const char *vm_is_nic_tag(const char *v);
const char *vm_is_interface(const char *v);
const char *vm_is_port(const char *v);
const char *vm_is_boot_order(const char *v);
const char *vm_is_bootrom(const char *v);
const char *vm_is_com(const char *v);
const char *vm_is_pci_slot(const char *v);
const char *vm_is_guest_block_size(const char *v);
/* Of `vmadm create-snapshot`. */
const char *vm_is_snapshot(const char *v);

/* Prefix length of a netmask, or -1. */
int vm_netmask_bits(const char *mask);

#endif
