/* Inside src/ctf: libelf with sizes looked at first. */
#ifndef CTF_ELF_IMPL_H
#define CTF_ELF_IMPL_H

#include <gelf.h>

/* A section's bytes, if it has a size that can be true. */
Elf_Data *elf_section_data(Elf_Scn *scn);
Elf_Scn *elf_section_named(Elf *elf, const char *name, GElf_Shdr *ret);

#endif
