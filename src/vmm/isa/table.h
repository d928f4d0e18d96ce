/* Every device at fixed ports, one line each; see struct isa_class in vmm/isa/isa.h. */
ISA_CLASS_ROW(pm)
ISA_CLASS_ROW(rtc)
ISA_CLASS_ROW(uart)
ISA_CLASS_ROW(misc)
ISA_CLASS_ROW(hotplug)
ISA_CLASS_ROW(i8042)
ISA_CLASS_ROW(tpm)
