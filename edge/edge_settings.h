/*
 * The settings of postern-edge: the one table that the command line, the environment, the file, --help and
 * the manual page are read from.
 */
#ifndef EDGE_EDGE_SETTINGS_H
#define EDGE_EDGE_SETTINGS_H

#include "common/settings/settings.h"

extern const struct settings_program edge_settings;

#endif
