# SPDX-License-Identifier: MIT OR Apache-2.0
# shellcheck shell=bash
#
# One boot of the guest.  Uses: here, work, architecture, kernel, programs, root_image.

machine=     # process id of the running machine
architecture=amd64    # as Debian calls it

booted=      # its folder
stop_machine() {
	[ -n "$machine" ] || return 0
	kill "$machine" 2>/dev/null || true
	wait "$machine" 2>/dev/null || true
	rm -rf "$booted"/{initramfs,init,payload} "$booted"/disk?
}
trap stop_machine EXIT
trap 'exit 130' INT TERM

# choose_emulator FOLDER: QEMU with the machine for $architecture, in the array. Its serial ports are
# ttyS1 for the report and ttyS2 for the daemon's output everywhere; s390x has none, and tells the
# report on its console.
choose_emulator() {
	local port ports=()
	for port in null,id=port0 "file,id=port1,path=$1/report" "file,id=port2,path=$1/daemon"; do
		ports+=(-chardev "$port")
	done
	for port in 0 1 2; do
		ports+=(-device "pci-serial,chardev=port$port")
	done
	case $architecture in
	amd64)
		console=ttyS0
		emulator=(qemu-system-x86_64 -machine pc -cpu max -device "isa-debug-exit,iobase=0xf4,iosize=4")
		ports=(-serial "file:$1/report" -serial "file:$1/daemon") ;;
	arm64)
		console=ttyAMA0
		emulator=(qemu-system-aarch64 -machine virt -cpu cortex-a57) ;;
	riscv64)
		# The machine has a port of the same kind itself, which is ttyS0.
		console=ttyS0
		emulator=(qemu-system-riscv64 -machine virt)
		ports=("${ports[@]:2:4}" "${ports[@]:8}") ;;
	ppc64el)
		console=hvc0
		emulator=(qemu-system-ppc64 -machine pseries) ;;
	s390x)
		console=ttysclp0
		emulator=(qemu-system-s390x -machine s390-ccw-virtio)
		ports=() ;;
	esac
	emulator+=(-serial "file:$1/console" "${ports[@]}")
}

# boot FOLDER RAM_MIB DISK_MIB LIMIT_S [DISK_IOPS]
#
# FOLDER/payload goes into the guest's /exp.  Afterwards FOLDER holds `console`
# (the kernel's messages), `report` (ours) and `daemon` (the daemon's output).
# No KVM even where there is one: results shall not depend on where it runs; and
# no network device.  LIMIT_S ends a guest that has gone silent.  DISK_IOPS makes its
# disks as slow as real ones; without, they are as fast as this machine's memory.
boot() {
	booted=$1
	local folder=$1 ram=$2 disk=$3 limit=$4 iops=${5:-0} number part disks=()
	install -m 755 "$here/guest/init" "$folder/init"
	cp -r "$programs"/* "$folder/payload/"
	for part in main.sh jobs daemons; do
		[ ! -e "$here/guest/$part" ] || cp -r "$here/guest/$part" "$folder/payload/"
	done
	(cd "$folder" && find init payload | cpio -o -H newc --quiet) |
		cat "$kernel/initramfs.cpio" - >"$folder/initramfs"
	for number in 0 1 2; do
		truncate -s "${disk}M" "$folder/disk$number"
		disks+=(-drive "file=$folder/disk$number,format=raw,if=virtio,cache=unsafe,throttling.iops-total=$iops")
	done
	# One machine at a time: two would starve each other and fake a stall.
	exec 9>"$work/machine.lock"
	flock -n 9 || { log "waiting for the machine that runs"; flock 9; }
	SECONDS=0
	choose_emulator "$folder"
	timeout --foreground -k 5 "$limit" "${emulator[@]}" -accel tcg,thread=multi \
		-m "$ram" -smp 2 -display none -nodefaults -nic none -no-reboot \
		-kernel "$kernel/vmlinuz" -initrd "$folder/initramfs" \
		-append "console=$console loglevel=6 panic=1 mitigations=off transparent_hugepage=never nokaslr" \
		-drive "file=$root_image,format=raw,if=virtio,readonly=on" "${disks[@]}" \
		>"$folder/qemu.log" 2>&1 </dev/null 9>&- &
	machine=$!
	# 1 is what isa-debug-exit makes of the guest's orderly end.
	wait "$machine" || true
	machine=
	exec 9>&-
	rm -rf "$folder"/{initramfs,init} "$folder"/disk?
	[ "$architecture" != s390x ] || cp "$folder/console" "$folder/report"
	touch "$folder/daemon"
	[ -e "$folder/console" ] || die "QEMU did not start, see $folder/qemu.log"
	sed -i 's/\r$//' "$folder/report" "$folder/daemon" "$folder/console"
}

# boot_until_it_speaks: as boot.  A kernel that patches its own code while it boots can trip
# over software emulation and panic.  It has said nothing yet then, and boots the next time.
boot_until_it_speaks() {
	for _ in 1 2 3; do
		boot "$@"
		[ ! -s "$1/report" ] || break
	done
	rm -rf "$1/payload"
}
