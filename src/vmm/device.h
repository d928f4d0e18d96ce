/* What the file of a device, of a back end, or of a part of the machine begins with. */
#ifndef VMM_DEVICE_H
#define VMM_DEVICE_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bell.h"
#include "base/bytes.h"
#include "base/cleanup.h"
#include "base/event.h"
#include "base/lock.h"
#include "base/str.h"
#include "vmm/pci.h"
#include "vmm/pci_ids.h"
#include "vmm/sandbox.h"
#include "vmm/state.h"
#include "vmm/vm.h"
#include "vmm/worker.h"

#endif
