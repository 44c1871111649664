#!/usr/bin/env bash
# Runs inside the new root: what a cloud image has that a minimal Debian lacks, and what only a container needs.
set -euo pipefail
release=$1 mirror=$2

# The operator's account, as cloud images have it; its key arrives when the VM is created.
useradd --create-home --shell /bin/bash ops
install -d -m 0700 -o ops -g ops /home/ops/.ssh
printf 'ops ALL=(ALL) NOPASSWD:ALL\n' > /etc/sudoers.d/ops
chmod 0440 /etc/sudoers.d/ops

# What cloud-init does elsewhere: at its first boot a VM makes host keys of its own and lets the operator's key in,
# which the provider hands over in the environment of the first process.
rm -f /etc/ssh/ssh_host_*
cat > /usr/local/sbin/lab-first-boot <<'SCRIPT'
#!/bin/sh
set -e
ssh-keygen -A
tr '\0' '\n' < /proc/1/environ | sed -n 's/^FLEET_SSH_KEY=//p' > /home/ops/.ssh/authorized_keys
chown ops:ops /home/ops/.ssh/authorized_keys
chmod 0600 /home/ops/.ssh/authorized_keys
SCRIPT
chmod 0755 /usr/local/sbin/lab-first-boot
cat > /etc/systemd/system/lab-first-boot.service <<'UNIT'
[Unit]
Description=First boot of this VM
Before=ssh.service
ConditionPathExists=!/etc/ssh/ssh_host_ed25519_key
[Service]
Type=oneshot
ExecStart=/usr/local/sbin/lab-first-boot
[Install]
WantedBy=multi-user.target
UNIT
mkdir -p /etc/systemd/system/ssh.service.d
printf '[Unit]\nRequires=lab-first-boot.service\nAfter=lab-first-boot.service\n' > /etc/systemd/system/ssh.service.d/first-boot.conf
printf 'PasswordAuthentication no\nPermitRootLogin no\nUseDNS no\nMaxSessions 50\nMaxStartups 50\n' > /etc/ssh/sshd_config.d/lab.conf
systemctl enable ssh lab-first-boot >/dev/null 2>&1

# Consul is not in Debian 12 and 13; Debian 11's package runs there. Nothing else may come from Debian 11.
# A lab without the internet cannot use HashiCorp's repository, which is what the consul role uses elsewhere.
printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s bullseye main\n' "$mirror" > /etc/apt/sources.list.d/lab-consul.list
printf 'Package: *\nPin: release n=bullseye\nPin-Priority: -1\n\nPackage: consul pipexec\nPin: release n=bullseye\nPin-Priority: 500\n' > /etc/apt/preferences.d/lab-consul

# Debian's units of Redis cannot start in a container with their user namespace setting.
for unit in redis-server redis-server@; do
  mkdir -p "/etc/systemd/system/$unit.service.d"
  printf '[Service]\nPrivateUsers=no\n' > "/etc/systemd/system/$unit.service.d/lab.conf"
done

# The image brings a package index, so that VMs that are made within its life need not fetch one each.
apt-get update -qq
apt-get clean

# Parts of a machine that a container does not have.
systemctl mask systemd-udevd.service systemd-logind.service getty.target console-getty.service \
  systemd-timesyncd.service apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer fstrim.timer >/dev/null 2>&1
rm -f /etc/machine-id /var/lib/dbus/machine-id
touch /etc/machine-id
printf 'release=%s\n' "$release" > /etc/scaleout-lab
