#include "vmm/isa/isa.h"

#include "vmm/acpi/aml.h"

#define ISA_CLASS_ROW(id) extern const struct isa_class isa_class_##id;
#include "vmm/isa/table.h"
#undef ISA_CLASS_ROW

#define ISA_CLASS_ROW(id) &isa_class_##id,
static const struct isa_class *const classes[] = {
#include "vmm/isa/table.h"
};
#undef ISA_CLASS_ROW

int
isa_create_all(struct vm *vm, struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(classes); i++) {
		int r = classes[i]->create(vm, err);

		if (r < 0)
			return error_wrap(err, r, "%s", classes[i]->name);
	}
	return 0;
}

void
isa_aml(struct vm *vm, struct aml *a)
{
	for (size_t i = 0; i < ARRAY_SIZE(classes); i++) {
		if (classes[i]->aml)
			classes[i]->aml(vm, a);
	}
}
