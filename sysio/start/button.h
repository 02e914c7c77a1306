/* SPDX-License-Identifier: MIT */
/*
 * The machine's power button, by which a hypervisor asks for the end. ACPI 6.5, 4.8.2.2.1: the
 * fixed button of the PM1 event block (QEMU's pc and q35), or an event of a generic event device
 * (5.6.9; QEMU's microvm).
 */
#ifndef SYSIO_START_BUTTON_H
#define SYSIO_START_BUTTON_H

#include "../base/engine.h"

struct button {
    uint32_t line;           /* GSI; of the fixed button: an ISA interrupt */
    bool edge;               /* of a generic event device */
    uint16_t status, enable; /* ports of the PM1 event block; 0: it is not the fixed button */
    uint16_t control;        /* PM1 control, where SCI_EN says that ACPI is on; 0: unknown */
    uint16_t command;        /* port that turns ACPI on when `value` is written; 0: it is on */
    uint8_t value;
    uint64_t events; /* physical address of the event device's selector; 0: none */
};

#define BUTTON_EVENT (1u << 1) /* of the selector: the button was pressed (QEMU's numbering) */

/* What the tables say; false: no button. dsdt may be NULL. Both are untrusted. */
bool button_parse(const uint8_t *fadt, uint32_t fadt_size, const uint8_t *dsdt, uint32_t dsdt_size,
                  struct button *b);

/* Finds the button and listens to it through `badge` of the engine; false: there is none. */
bool button_init(struct engine *e, uint64_t badge);
/* The badge was notified: has it been pressed? */
bool button_pressed(void);

#endif
