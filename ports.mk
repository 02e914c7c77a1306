# SPDX-License-Identifier: MIT
#
# Third-party source: which releases, and how they become part of a build. Nothing of it is in this repository.
#
# A source has a version and a pin: Debian source package, archive, SHA-256. Its patches, if any, are fixes that
# Debian carries: member of the package's .debian.tar archive, SHA-256. tools/fetch.sh brings them, tools/unpack.sh
# lays them out in $(BUILD)/src/NAME-VERSION.
#
# A port is what a recipe makes of a source: ports/NAME/recipe.sh. Its result is kept outside the tree under a key
# of everything that went into it (tools/port.sh), so a second checkout does not build it again.
#
# To add one: the pin here, its name in SOURCES, a recipe, its name in PORTS, and what it needs in NAME_NEEDS.

SOURCES := musl lwip zlib pcre2 nginx beanstalkd lighttpd libedit dash toybox redis sqlite3 libevent memcached

musl_VERSION := 1.2.5
musl_PIN := musl musl_1.2.5.orig.tar.gz a9a118bbe84d8764da0ea0d28b3ab3fae8477fc7e4085d90102b8596fc7c75e4
# iconv (CVE-2025-26519, and a decoder that took seconds a character) and qsort (heap corruption)
musl_PATCHES := \
  debian/patches/CVE-2025-26519-0001_iconv_fix_erroneous_input_validation_in_EUC_KR_decod.patch \
  19f9e36002c9680da1dd480035dfcca6610d13d9b9e5ca1a6783bedc049b99b0 \
  debian/patches/CVE-2025-26519-0002_iconv_harden_UTF_8_output_code_path_against_input_de.patch \
  70e9d5f98dae49b0b3dd180b4a0bd2f222acda3e58b9b4bf00b25b0d592339dd \
  debian/patches/0001-fix-pathological-slowness-incorrect-mappings-in-icon.patch \
  313e78e290eae305ca0fbfc384f785e60502e4c70c1166f67d7e9dda1442ae75 \
  debian/patches/0002-qsort-fix-leonardo-heap-corruption-from-bug-in-doubl.patch \
  495ede3d85132d47ae50686679f6b754f4f1fe69eb5170510164d93603cdefbc

lwip_VERSION := 2.2.1
lwip_PIN := lwip lwip_2.2.1+dfsg1.orig.tar.xz 83729c274c499d3348e9fbbe043a3113f3fa8953e7efddc7c21c7fcbb1f2b7b1

zlib_VERSION := 1.3.1
zlib_PIN := zlib zlib_1.3.dfsg+really1.3.1.orig.tar.gz \
  60dd315c07f616887caa029408308a018ace66e3d142726a97db164b3b8f69fb

pcre2_VERSION := 10.46
pcre2_PIN := pcre2 pcre2_10.46.orig.tar.gz 8d28d7f2c3b970c3a4bf3776bcbb5adfc923183ce74bc8df1ebaad8c1985bd07

nginx_VERSION := 1.26.3
nginx_PIN := nginx nginx_1.26.3.orig.tar.gz 69ee2b237744036e61d24b836668aad3040dda461fe6f570f1787eab570c75aa

beanstalkd_VERSION := 1.13
beanstalkd_PIN := beanstalkd beanstalkd_1.13.orig.tar.gz \
  26292dcdc0a7011d2f8ad968612f2cd8b2ef07687224876015399ae85e9e5263

lighttpd_VERSION := 1.4.79
lighttpd_PIN := lighttpd lighttpd_1.4.79.orig.tar.xz 3b29a625b3ad88702d1fea4f5f42bb7d87488f2e4efc977d7f185329ca6084bd

libedit_VERSION := 3.1-20250104
libedit_PIN := libedit libedit_3.1-20250104.orig.tar.gz 23792701694550a53720630cd1cd6167101b5773adddcb4104f7345b73a568ac

dash_VERSION := 0.5.12
dash_PIN := dash dash_0.5.12.orig.tar.gz 6a474ac46e8b0b32916c4c60df694c82058d3297d8b385b74508030ca4a8f28a

toybox_VERSION := 0.8.9
toybox_PIN := toybox toybox_0.8.9+dfsg.orig.tar.xz 16fb5967531e88ca33b8c9142376987617ebe52e34e2b3f3a779603674b7d07c

redis_VERSION := 8.0.2
redis_PIN := redis redis_8.0.2.orig.tar.gz caf3c0069f06fc84c5153bd2a348b204c578de80490c73857bee01d9b5d7401f

sqlite3_VERSION := 3.46.1
sqlite3_PIN := sqlite3 sqlite3_3.46.1.orig.tar.xz d0cdd2ece271b29e7ce18095745d892517ee26d0f270065b3a25c2e9eb11639c

libevent_VERSION := 2.1.13
libevent_PIN := libevent libevent_2.1.13-stable.orig.tar.gz \
  f7e9383b8c0baa81b687e5b5eecc01beefaf1b19b64151d95ed61647fe7a315c

memcached_VERSION := 1.6.38
memcached_PIN := memcached memcached_1.6.38.orig.tar.xz \
  074076ab3e889e16e763c6a3e5cadacc6696979dbb8c473bbf871d498b19b1a0

PORTS := zlib pcre2 nginx beanstalkd lighttpd libedit dash toybox redis sqlite3 libevent memcached
nginx_NEEDS := zlib pcre2
lighttpd_NEEDS := zlib
toybox_NEEDS := zlib
dash_NEEDS := libedit
memcached_NEEDS := libevent

# ---- sources ----------------------------------------------------------------------------------------------------

# $(call source,NAME): the folder of an unpacked source. $(call source_stamp,NAME): what to depend on.
source = $(BUILD)/src/$(1)-$($(1)_VERSION)
source_stamp = $(call source,$(1))/.motor-source

define source_rule
$(call source_stamp,$(1)): ports.mk tools/unpack.sh tools/fetch.sh
	$$(Q)tools/unpack.sh $$(@D) $($(1)_PIN) $($(1)_PATCHES)
endef
$(foreach s,$(SOURCES),$(eval $(call source_rule,$(s))))

# ---- ports ------------------------------------------------------------------------------------------------------

# $(call port,NAME): the folder with a port's result. $(call port_stamp,NAME): what to depend on.
port = $(BUILD)/ports/$(1)
port_stamp = $(call port,$(1))/.motor-key

# The SDK itself needs musl, so musl's recipe (posix/musl) is run with the host's compiler; all others with motor-cc.
define port_rule
$(call port_stamp,$(1)): tools/port.sh $(call source_stamp,$(1)) $(3) $(foreach n,$($(1)_NEEDS),$(call port_stamp,$(n)))
	+$$(Q)tools/port.sh $(1) $($(1)_VERSION) $(2)/recipe.sh $(call source,$(1)) $(call port,$(1)) $$(filter-out tools/port.sh,$$^)
endef
$(eval $(call port_rule,musl,posix/musl,$(wildcard posix/musl/*.[chs] posix/musl/*.mak posix/musl/*.sh)))
$(foreach p,$(PORTS),$(eval $(call port_rule,$(p),ports/$(p),$(filter-out %/files,$(wildcard ports/$(p)/*)) $$(SDK)/.motor-key)))
