/* A static program can use modules of its own C library only: one of another version ends it. `files` and `dns` are no modules. */

#include <nss.h>

__attribute__((constructor)) static void isobar_hosts(void)
{
    __nss_configure_lookup("hosts", "files dns");
}
