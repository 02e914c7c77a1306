/* SPDX-License-Identifier: MIT */
/* The power button's registers: see button.h. */
#include "button.h"

#include "../virtio/acpi.h"

#include <string.h>

#define PWRBTN       (1u << 8) /* of PM1 status and enable */
#define SCI_EN       (1u << 0) /* of PM1 control */
#define ENABLE_SPINS 100000u
#define STRAY_MAX \
    1000u /* interrupts for which there was no reason: then the line is left alone \
           */

static struct button button;
static motor_handle irq;
static volatile uint32_t *events;
static uint32_t stray;

static void port_write8(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static void port_write16(uint16_t port, uint16_t value)
{
    __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

static uint16_t port_read16(uint16_t port)
{
    uint16_t value;
    __asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

/* ---- listening ---- */

/* The system comes up with the firmware's handlers on, or with ACPI's. */
static void enable_acpi(const struct button *b)
{
    if (!b->command || !b->control || (port_read16(b->control) & SCI_EN))
        return;
    port_write8(b->command, b->value);
    for (unsigned i = 0; i < ENABLE_SPINS && !(port_read16(b->control) & SCI_EN); i++)
        __builtin_ia32_pause();
}

static bool listen(struct engine *e, uint64_t badge, uint32_t kind)
{
    int64_t gate = engine_gate(e, badge);
    int64_t h = gate < 0 ? gate : motor_irq_create(MOTOR_BOOT_HARDWARE, kind, button.line, NULL);
    if (h < 0 || motor_bind((motor_handle)h, (motor_handle)gate) < 0)
        return false;
    irq = (motor_handle)h;
    return true;
}

static bool start_fixed(struct engine *e, uint64_t badge)
{
    enable_acpi(&button);
    port_write16(button.enable, 0);
    port_write16(button.status, PWRBTN); /* of before */
    if (!listen(e, badge, MOTOR_IRQ_LINE_ISA))
        return false;
    port_write16(button.enable, PWRBTN);
    return true;
}

static bool start_event_device(struct engine *e, uint64_t badge)
{
    events =
        (volatile uint32_t *)virtio_map_physical(button.events, sizeof *events, MOTOR_VMO_UNCACHED);
    return events && listen(e, badge, button.edge ? MOTOR_IRQ_LINE_EDGE : MOTOR_IRQ_LINE_LEVEL);
}

bool button_init(struct engine *e, uint64_t badge)
{
    uint64_t rsdp = boot_info()->rsdp;
    uint32_t fadt_size = 0, dsdt_size = 0;
    const uint8_t *fadt = acpi_table(rsdp, "FACP", &fadt_size);
    const uint8_t *dsdt = fadt ? acpi_table(rsdp, "DSDT", &dsdt_size) : NULL;
    bool found = fadt && button_parse(fadt, fadt_size, dsdt, dsdt_size, &button);
    if (dsdt)
        acpi_table_done(dsdt, dsdt_size);
    if (fadt)
        acpi_table_done(fadt, fadt_size);
    if (!found)
        return false;
    found = button.events ? start_event_device(e, badge) : start_fixed(e, badge);
    if (!found)
        log_error("power", "the power button has no interrupt");
    return found;
}

static bool take_press(void)
{
    if (events) /* reading it clears it */
        return *events & BUTTON_EVENT;
    bool pressed = port_read16(button.status) & PWRBTN;
    if (pressed)
        port_write16(button.status, PWRBTN);
    return pressed;
}

bool button_pressed(void)
{
    bool pressed = take_press();
    stray = pressed ? 0 : stray + 1;
    if (stray < STRAY_MAX)
        motor_irq_ack(irq);
    return pressed;
}
