/* SPDX-License-Identifier: MIT */
/* Files of the EFI system partition. */
#include "loader.h"

#define SIZE_MAX_FILE (1ull << 31)

static EFI_FILE_HANDLE root;

BOOLEAN files_open(EFI_HANDLE image)
{
    EFI_GUID loaded_image = LOADED_IMAGE_PROTOCOL, file_system = SIMPLE_FILE_SYSTEM_PROTOCOL;
    EFI_BOOT_SERVICES *boot = system_table->BootServices;
    EFI_LOADED_IMAGE *loaded;
    EFI_FILE_IO_INTERFACE *volume;
    if (EFI_ERROR(boot->HandleProtocol(image, &loaded_image, (void **)&loaded)) ||
        EFI_ERROR(boot->HandleProtocol(loaded->DeviceHandle, &file_system, (void **)&volume)) ||
        EFI_ERROR(volume->OpenVolume(volume, &root))) {
        complain("the partition of the loader", "it cannot be read");
        return FALSE;
    }
    return TRUE;
}

/* The size of an open file: where its end is. */
static BOOLEAN file_size(EFI_FILE_HANDLE f, UINT64 *size)
{
    return !EFI_ERROR(f->SetPosition(f, ~0ull)) && !EFI_ERROR(f->GetPosition(f, size)) &&
           !EFI_ERROR(f->SetPosition(f, 0));
}

static const char *read_whole(EFI_FILE_HANDLE f, struct file *file)
{
    if (!file_size(f, &file->size))
        return "it cannot be read";
    if (!file->size || file->size > SIZE_MAX_FILE)
        return file->size ? "it is too large" : "it is empty";
    file->bytes = memory_take(file->size, EfiLoaderData);
    if (!file->bytes)
        return "not enough memory";
    UINTN n = file->size;
    if (EFI_ERROR(f->Read(f, &n, file->bytes)) || n != file->size)
        return "it cannot be read";
    return NULL;
}

BOOLEAN file_read(const CHAR16 *path, const char *name, BOOLEAN optional, struct file *file)
{
    EFI_FILE_HANDLE f;
    EFI_STATUS status = root->Open(root, &f, (CHAR16 *)path, EFI_FILE_MODE_READ, 0);
    if (EFI_ERROR(status)) {
        if (!optional || status != EFI_NOT_FOUND)
            complain(name, status == EFI_NOT_FOUND ? "there is no such file" : "it cannot be read");
        return FALSE;
    }
    const char *error = read_whole(f, file);
    f->Close(f);
    if (error)
        complain(name, error);
    return !error;
}
