# Postern. `make` builds the four programs, `make run` shows the whole story on this machine,
# `make test` runs every test. `make help` lists the rest.
#
# A program is its folder's .c files plus common's; a unit test tests/unit/<folder>/<module>_test.c links the
# same objects without main.c. So a new file needs no line here.

ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(shell nproc)
endif
CC        ?= cc
BUILD     ?= build
PREFIX    ?= /usr/local
DESTDIR   ?=
SANITIZE  ?=

# libunbound is named below: its .pc file asks for libevent's, which its package does not bring.
PKGS      := openssl gnutls libcurl jansson libmicrohttpd libpq libidn2 libpsl libnghttp2
WARNINGS  := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2 -Wundef \
             -Wpointer-arith -Wcast-align -Wwrite-strings -Wimplicit-fallthrough
HARDEN    := -fstack-protector-strong -fstack-clash-protection -fcf-protection=full -fPIE
# clang before 16 knows the flag and refuses it.
HARDEN    += $(shell $(CC) -Werror -ftrivial-auto-var-init=zero -fsyntax-only -xc /dev/null 2>/dev/null && \
               echo -ftrivial-auto-var-init=zero)
ifeq ($(filter aarch64 arm64,$(shell uname -m)),)
else
HARDEN    := $(filter-out -fcf-protection=full,$(HARDEN)) -mbranch-protection=standard
endif
ifeq ($(SANITIZE),)
HARDEN    += -D_FORTIFY_SOURCE=2
endif
# CFLAGS and LDFLAGS are the packager's: what the code needs stands before them.
CFLAGS    ?= -O2 -g
COMPILE    = $(CC) -std=gnu11 -pthread $(WARNINGS) $(HARDEN) $(SANITIZE) -D_GNU_SOURCE -I. $(PKG_CFLAGS) $(CFLAGS)
LINK       = $(CC) -pthread -pie -Wl,-z,relro,-z,now,-z,noexecstack $(SANITIZE) $(LDFLAGS)
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
LDLIBS    := $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lunbound -lldns -lm

PROGRAMS  := $(BUILD)/postern-edge $(BUILD)/postern-acme $(BUILD)/postern-verifier $(BUILD)/postern
# An area with its rooms is one library; three rooms of common/, which not all programs need, are libraries of their own.
APART     := common/cli common/dns common/explain
sources    = $(filter-out $(if $(filter common,$(1)),$(APART:=/%)),$(wildcard $(1)/*.c $(1)/*/*.c))
objects    = $(patsubst %.c,$(BUILD)/%.o,$(call sources,$(1)))
modules    = $(filter-out $(BUILD)/$(1)/main.o,$(call objects,$(1)))
library    = $(BUILD)/$(1)/lib.a
AREAS     := edge acme verifier common/cli common/explain common/dns common

all: $(PROGRAMS)

$(BUILD)/postern-edge: $(BUILD)/edge/main.o $(call library,edge) $(call library,common)
$(BUILD)/postern-acme: $(BUILD)/acme/main.o $(call library,acme) $(call library,common/dns) $(call library,common)
$(BUILD)/postern-verifier: $(BUILD)/verifier/main.o $(foreach area,verifier common/explain common/dns common,$(call library,$(area)))
$(BUILD)/postern: $(BUILD)/common/cli/main.o $(foreach area,common/cli common/explain common,$(call library,$(area)))
$(PROGRAMS):
	@echo "LD $@"; $(LINK) -o $@ $^ $(LDLIBS)

.SECONDEXPANSION:
$(foreach area,$(AREAS),$(call library,$(area))): $(BUILD)/%/lib.a: $$(call modules,%)
	@mkdir -p $(@D); rm -f $@; ar rcs $@ $^

$(BUILD)/%.o: %.c
	@mkdir -p $(@D); echo "CC $<"; $(COMPILE) -MMD -MP -c -o $@ $<

# The issuer that tests can kill or freeze at named moments (acme/crash_point.h).
CRASH_ACME := $(BUILD)/crash/postern-acme
$(CRASH_ACME): $(patsubst $(BUILD)/%,$(BUILD)/crash/%,$(call objects,acme)) $(call library,common/dns) $(call library,common)
	@echo "LD $@"; $(LINK) -o $@ $^ $(LDLIBS)
$(BUILD)/crash/%.o: %.c
	@mkdir -p $(@D); echo "CC $< with crash points"; $(COMPILE) -DPOSTERN_CRASH_POINTS -MMD -MP -c -o $@ $<

# What a program carries inside itself: the migrations in `postern`, the dashboard in the verifier.
$(BUILD)/common/cli/migrations.o: $(wildcard sql/*.sql)
$(BUILD)/verifier/web/web_files.o: $(wildcard verifier/web/* verifier/web/*/*)
$(BUILD)/verifier/api/api_openapi.o: verifier/api/openapi.json

# A unit test sees its own folder, common and what is in common/explain and common/dns (tests/unit/explain, tests/unit/dns); a
# test against PostgreSQL sees everything.
UNIT      := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/unit/*/*_test.c))
PGTESTS   := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/pg/*_test.c))
area       = $(notdir $(patsubst %/,%,$(dir $(1))))
$(UNIT): %: %.o $$(foreach area,$$(filter-out common dns explain,$$(call area,%)) common/explain common/dns common,$$(call library,$$(area)))
	@echo "LD $@"; $(LINK) -o $@ $^ $(LDLIBS) -lcmocka
$(PGTESTS): %: %.o $(BUILD)/tests/pg/database.o $(foreach area,$(AREAS),$(call library,$(area)))
	@echo "LD $@"; $(LINK) -o $@ $^ $(LDLIBS) -lcmocka

# A fuzz harness replays the inputs that are kept for it, unless `make fuzz` gives it libFuzzer as its driver.
FUZZERS     := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/fuzz/*_fuzz.c))
FUZZ_DRIVER ?= $(BUILD)/tests/fuzz/replay.o
$(FUZZERS): %: %.o $(FUZZ_DRIVER) $(foreach area,$(AREAS),$(call library,$(area)))
	@echo "LD $@"; $(LINK) -o $@ $^ $(LDLIBS) -lcmocka

# What the benchmark measures with.
BENCH     := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/bench/*.c)) $(BUILD)/tests/bench/load/load
$(BUILD)/tests/bench/load/load: $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/bench/load/*.c))
$(filter-out %/load,$(BENCH)): %: %.o $(call library,common)
$(BENCH):
	@echo "LD $@"; $(LINK) -o $@ $^ $(LDLIBS)

unit-tests: $(UNIT) fuzz-replays
pg-tests: $(PGTESTS) $(BUILD)/postern crash-variant
fuzz-replays: $(FUZZERS)
bench-tools: $(BENCH)
crash-variant: $(CRASH_ACME)

# ---- what a person types

help:
	@sed -n 's/^## //p' Makefile
## make                   builds build/postern-edge, postern-acme, postern-verifier, postern
## make deps              installs what the build needs (apt-get; root or sudo), saying so
## make run               builds and plays the whole story on this machine, under ./var, until Ctrl-C
## make test              every test: unit, PostgreSQL, end to end (TESTS=... for some: see tests/README.md)
## make lint              formatting, and a build with clang
## make asan, make tsan   unit tests, fuzz corpora and PostgreSQL tests under the sanitizers
## make fuzz              each fuzz harness for FUZZ_SECONDS (60), from its corpus; FUZZ=... for some
## make bench             the benchmark, beside nginx, HAProxy, Caddy, hitch and h2o
## make soak              mixed traffic, reloads and restarts for SECONDS (600): no leak, every request accounted for
## make test-containers   builds the images and plays the story through docker compose
## make install           into $(DESTDIR)$(PREFIX): sbin, bin, manual pages

deps:
	@tests/support/install_packages build
# Installing first may bring the compiler: the build is a make of its own, after it.
run:
	@tests/support/install_packages build run
	@$(MAKE) --no-print-directory all
	@tests/support/demo $(ARGS)
test:
	@tests/support/install_packages build run test
	@$(MAKE) --no-print-directory all unit-tests pg-tests
	@BUILD=$(BUILD) tests/run $(TESTS)

FORMATTED  = $(wildcard common/*/*.[ch] edge/*.[ch] edge/*/*.[ch] acme/*.[ch] acme/*/*.[ch] verifier/*.[ch] verifier/*/*.[ch] tests/unit/*/*.[ch] tests/pg/*.[ch] tests/fuzz/*.[ch] tests/bench/*.c tests/bench/load/*.[ch] tests/support/*.h)
lint:
	@tests/support/install_packages build lint
	clang-format --dry-run -Werror $(FORMATTED)
	@$(MAKE) --no-print-directory CC=clang BUILD=$(BUILD)/clang all unit-tests pg-tests

# A sanitizer that finds anything ends the program with a failure.
asan: SANITIZER := address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
tsan: SANITIZER := thread
asan tsan:
	@tests/support/install_packages build run test
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/$@ SANITIZE="-fsanitize=$(SANITIZER)" all unit-tests pg-tests
	@BUILD=$(BUILD)/$@ tests/run $(or $(TESTS),unit fuzz pg)

# In a build of its own: everything is compiled for libFuzzer's coverage and both sanitizers.
FUZZ_SECONDS ?= 60
fuzz:
	@tests/support/install_packages build fuzz
	@$(MAKE) --no-print-directory CC=clang BUILD=$(BUILD)/fuzz FUZZ_DRIVER= LDFLAGS=-fsanitize=fuzzer \
		SANITIZE="-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all" fuzz-replays
	@BUILD=$(BUILD)/fuzz tests/fuzz/run $(FUZZ_SECONDS) $(FUZZ)

bench:
	@tests/support/install_packages build run bench
	@$(MAKE) --no-print-directory all bench-tools
	@BUILD=$(BUILD) tests/bench/run $(ARGS)
# In seconds; tests/soak/README.md says what is counted.
SECONDS   ?= 600
soak:
	@tests/support/install_packages build run test
	@$(MAKE) --no-print-directory all
	@BUILD=$(BUILD) tests/soak/run $(SECONDS)
test-containers:
	@docker/test

MANUALS    = $(addprefix $(BUILD)/man/,postern-edge.8 postern-acme.8 postern-verifier.8)
man: $(MANUALS)
# A manual page says what --help says: both come from the program's table of settings.
$(MANUALS): $(BUILD)/man/%.8: $(BUILD)/%
	@mkdir -p $(@D); $< --help=mdoc >$@
install: $(PROGRAMS) $(MANUALS)
	install -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man8
	install $(BUILD)/postern-edge $(BUILD)/postern-acme $(BUILD)/postern-verifier $(DESTDIR)$(PREFIX)/sbin
	install $(BUILD)/postern $(DESTDIR)$(PREFIX)/bin
	install -m 644 $(MANUALS) docs/postern.8 $(DESTDIR)$(PREFIX)/share/man/man8

clean:
	rm -rf $(BUILD)

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
.PHONY: all unit-tests pg-tests crash-variant fuzz-replays bench-tools help deps run test lint asan tsan fuzz bench soak test-containers man install clean
.DELETE_ON_ERROR:
