/* DES of one block: what VNC's password exchange is made of (FIPS 46-3); no use for anything else. */
#ifndef VMM_DISPLAY_DES_H
#define VMM_DISPLAY_DES_H

#include <stdint.h>

void des_encrypt(const uint8_t key[8], const uint8_t in[8], uint8_t out[8]);

#endif
