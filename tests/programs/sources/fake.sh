# SPDX-License-Identifier: MIT OR Apache-2.0
# What fakeroot fakes: owners, users, devices. What it really is stays as it was.
id -u
touch file
chown 123:456 file
stat -c '%u:%g %a' file
chmod 4711 file
mknod device c 1 3
stat -c '%F %t:%T' device
tar -cf archive file device
tar -tvf archive --numeric-owner | awk '{ print $1, $2, $NF }'
rm file device
tar -xpf archive
stat -c '%u:%g %a' file
/usr/bin/python3 "${0%/*}/fake.py"
perl -e '$> = 7; $) = "8 8"; print "$> ", $) + 0, "\n"'
