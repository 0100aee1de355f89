/*
 * Which release this is: --version, the manual pages and postern_build_info say it.
 */
#ifndef COMMON_VERSION_H
#define COMMON_VERSION_H

#define POSTERN_VERSION "0.1.0"
/* Of the manual pages, as mdoc wants it. */
#define POSTERN_DATE "November 22, 2026"

#endif
