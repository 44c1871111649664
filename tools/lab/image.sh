#!/usr/bin/env bash
# Builds the lab's base image: a Debian that boots systemd and sshd in a container, from the host's own apt sources.
#
#   tools/lab/image.sh RELEASE        (bookworm or trixie)
#
# Where a registry is at hand, LAB_IMAGE_SOURCE=pull begins with Debian's own container image instead.
#
# The image is tagged scaleout-lab:RELEASE and carries the digest of this folder's recipe, so that a later
# run builds it again only when the recipe changed. Nothing of a role lives in it; what a cloud image brings, it brings.
set -euo pipefail

release=${1:?usage: image.sh RELEASE}
here=$(cd "$(dirname "$0")" && pwd)
image=scaleout-lab:$release
recipe=$(cat "$here/image.sh" "$here/image-setup.sh" | sha256sum | cut -c1-16)

if [ "$(docker image inspect -f '{{ index .Config.Labels "scaleout.recipe" }}' "$image" 2>/dev/null || true)" = "$recipe" ]; then
  echo "$image is up to date"
  exit 0
fi

# The mirror that this host uses for Debian, in either of apt's formats.
mirror=$(apt-get indextargets --format '$(SITE) $(ORIGIN)' 'Identifier: Packages' 2>/dev/null |
  awk '$2 == "Debian" && $1 !~ /security/ { print $1; exit }')
mirror=${mirror:-http://deb.debian.org/debian}
mirror=${mirror%/}
security=${mirror%/debian}/debian-security

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Debian 12's systemd boots on cgroup v1 and v2, Debian 13's on v1 only when told so.
command='["/sbin/init"]'
[ "$release" = bookworm ] || command='["/sbin/init", "SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1"]'

packages=systemd,systemd-sysv,dbus,python3,python3-apt,sudo,iproute2,ca-certificates,procps,openssh-server,libpam-systemd

if [ "${LAB_IMAGE_SOURCE:-mmdebstrap}" = pull ]; then
  # Debian's container image forbids services to start when they are installed; a VM does not.
  docker build --quiet --label "scaleout.recipe=$recipe" --tag "$image" --file - "$here" > /dev/null <<DOCKERFILE
FROM debian:$release
RUN rm -f /usr/sbin/policy-rc.d /etc/apt/apt.conf.d/docker-* && apt-get update -qq && \
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends ${packages//,/ }
COPY image-setup.sh /root/setup
RUN bash /root/setup $release $mirror && rm /root/setup
CMD $command
DOCKERFILE
  echo "$image built"
  exit 0
fi

mmdebstrap --quiet --variant=minbase --skip=cleanup/apt \
  --include="$packages" \
  --setup-hook='mkdir -p "$1/etc/dpkg/dpkg.cfg.d"; printf "force-unsafe-io\npath-exclude=/usr/share/doc/*\npath-exclude=/usr/share/man/*\n" > "$1/etc/dpkg/dpkg.cfg.d/lab"' \
  --customize-hook="cp '$here/image-setup.sh' \"\$1/tmp/setup\" && chroot \"\$1\" bash /tmp/setup '$release' '$mirror' && rm \"\$1/tmp/setup\"" \
  "$release" "$work/root.tar" \
  "deb $mirror $release main" "deb $mirror $release-updates main" "deb $security $release-security main"

docker import --change "CMD $command" --change "LABEL scaleout.recipe=$recipe" \
  "$work/root.tar" "$image" >/dev/null
echo "$image built"
