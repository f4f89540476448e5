#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# "systemd" prints the drop-in that the unit files call for, and installs the same one.
. "$(dirname "$0")/common.sh"
need_library

root=$scratch/root
units=$root/usr/lib/systemd/system
mkdir -p "$units" "$root${library%/*}"
cp "$library" "$root$library"

# unit NAME LINE...: a service with these lines
unit() {
    name=$1
    shift
    printf '%s\n' '[Unit]' 'User=not-this' '[Service]' "$@" >"$units/$name"
}

drop_in() {
    mlock systemd --library "$library" --root "$root" "$@"
}

has() {
    expect "$1: $2" has_line "$output" "$2"
}

hasnt() {
    expect "$1: no $2" lacks "$output" "
$2"
}

test_plain() {
    unit plain.service 'ExecStart=/bin/cat'
    drop_in plain
    expect "no diagnostics" [ "$status:$errors" = 0: ]
    for line in '[Service]' "Environment=LD_PRELOAD=$library" LimitMEMLOCK=infinity \
        OOMScoreAdjust=-900 MemorySwapMax=0; do
        has "root" "$line"
    done
    for line in Ambient Capability SystemCall Restrict BindRead; do
        hasnt "root" "$line"
    done
    expect "each line is explained" every_line_is_explained
    drop_in --swap-device --required --only='a b%"' plain.service
    has "settings" Environment=DUENDE_MLOCK_PROFILE=swap-device
    has "settings" Environment=DUENDE_MLOCK_REQUIRED=1
    has "settings are quoted" 'Environment="DUENDE_MLOCK_ONLY=a b%%\""'
    has "a swap device" OOMScoreAdjust=-1000
}

# The second library, wherever the first is
test_store() {
    find_store_library || return
    mkdir -p "$root${store%/*}" && cp "$store" "$root$store"
    unit store.service 'ExecStart=/bin/cat' 'NoExecPaths=/' 'RootDirectory=/srv'
    drop_in --store /dev/sdx store
    has "both are preloaded" "Environment=LD_PRELOAD=$library:$store"
    has "the variable" Environment=DUENDE_MLOCK_STORE=/dev/sdx
    has "both may be executed" "ExecPaths=$library $store"
    has "both are seen" "BindReadOnlyPaths=$library $store"
    rm "$root$store"
    drop_in --store /dev/sdx store
    expect "one that is not there" contains "$errors" "there is no library ${library%/*}/libduende_mlock_store.so"
}

every_line_is_explained() {
    printf '%s\n' "$output" | awk '
        /^#/ { explained = 1; next }
        /^$/ { explained = 0; next }
        /^\[/ { next }
        !explained { exit 1 }'
}

test_user() {
    unit user.service 'User=nobody' 'ExecStart=/bin/cat' 'SystemCallFilter=@system-service' \
        'RestrictRealtime=yes' 'CapabilityBoundingSet=CAP_CHOWN'
    drop_in user
    has "a user" AmbientCapabilities=CAP_IPC_LOCK
    has "a bounding set" CapabilityBoundingSet=CAP_IPC_LOCK
    has "a filter" SystemCallFilter=@memlock
    hasnt "no real time" RestrictRealtime
    drop_in --swap-device user
    has "a swap device" "AmbientCapabilities=CAP_IPC_LOCK CAP_SYS_RESOURCE CAP_SYS_NICE"
    has "a swap device" "SystemCallFilter=@memlock sched_setscheduler"
    has "a swap device" RestrictRealtime=no
    drop_in --swap-device --no-io-flusher --realtime=0 user
    has "no more than the lock" AmbientCapabilities=CAP_IPC_LOCK
    unit dynamic.service 'DynamicUser=yes' 'ExecStart=/bin/cat'
    drop_in dynamic
    has "a dynamic user" AmbientCapabilities=CAP_IPC_LOCK
    unit root.service 'User=root' 'ExecStart=/bin/cat'
    drop_in root
    hasnt "root by name" Ambient
    unit 'instance@.service' 'ExecStart=/bin/cat'
    mkdir -p "$root/etc/systemd/system/instance@.service.d"
    printf '[Service]\nUser = nobody\n' >"$root/etc/systemd/system/instance@.service.d/x.conf"
    drop_in instance@1
    has "a template and its drop-in" AmbientCapabilities=CAP_IPC_LOCK
}

# Root has every capability, but for those that its unit takes away.
test_bounding_set() {
    all="CAP_IPC_LOCK CAP_SYS_RESOURCE CAP_SYS_NICE"
    unit bounded.service 'ExecStart=/bin/cat' 'CapabilityBoundingSet=CAP_CHOWN'
    drop_in bounded
    hasnt "root locks by the limit" Capability
    drop_in --swap-device bounded
    has "root needs more for a swap device" "CapabilityBoundingSet=$all"
    hasnt "root has no ambient capabilities" Ambient
    unit empty.service 'User=nobody' 'ExecStart=/bin/cat' 'CapabilityBoundingSet='
    drop_in empty
    has "an empty set" CapabilityBoundingSet=CAP_IPC_LOCK
    unit emptied.service 'ExecStart=/bin/cat' 'CapabilityBoundingSet=CAP_CHOWN' 'CapabilityBoundingSet='
    drop_in --swap-device emptied
    has "a set that is emptied" "CapabilityBoundingSet=$all"
}

test_surroundings() {
    unit preloads.service 'Environment=A=b LD_PRELOAD=/usr/lib/libother.so' 'ExecStart=/bin/cat'
    drop_in preloads
    has "what is preloaded stays" "Environment=LD_PRELOAD=$library:/usr/lib/libother.so"
    unit rooted.service 'RootDirectory=/srv' 'ExecStart=/bin/cat'
    drop_in rooted
    has "a root folder" "BindReadOnlyPaths=$library"
    for paths in / '/home /usr'; do
        unit no-exec.service "NoExecPaths=$paths" 'ExecPaths=/bin' 'ExecStart=/bin/cat'
        drop_in no-exec
        has "NoExecPaths=$paths" "ExecPaths=$library"
    done
    mkdir -p "$root/100% sure"
    cp "$library" "$root/100% sure/"
    mlock systemd --root "$root" --library "/100% sure/${library##*/}" rooted
    has "a specifier and a blank in it" "BindReadOnlyPaths=\"/100%% sure/${library##*/}\""
    mkdir -p "$root/etc/default"
    echo 'LD_PRELOAD=/usr/lib/libother.so' >"$root/etc/default/files"
    unit files.service 'EnvironmentFile=-/etc/default/files' 'ExecStart=/bin/cat'
    drop_in files
    expect "a file that counts for more" contains "$errors" "/etc/default/files sets LD_PRELOAD"
    mkdir -p "$root/bin"
    cp "$(command -v cat)" "$root/bin/setuid" && chmod u+s "$root/bin/setuid"
    unit setuid.service 'ExecStart=-/bin/setuid --option'
    drop_in setuid
    expect "a program out of reach" contains "$errors" "set-user-ID bit"
    drop_in missing
    expect "a unit that is not there" contains "$errors" "there is no unit missing.service"
    expect "has a drop-in even so" has_line "$output" LimitMEMLOCK=infinity
    drop_in --install missing
    expect "but none is installed" [ "$status" = 1 ]
}

# The folders that systemd looks in, those of its generators as well: the earlier one counts.
test_folders() {
    count=0
    for folder in run/systemd/generator.late lib/systemd usr/lib/systemd usr/local/lib/systemd \
        run/systemd/generator run/systemd etc/systemd run/systemd/generator.early; do
        count=$((count + 1))
        case $folder in
            *generator*) mkdir -p "$root/$folder" ;;
            *) folder=$folder/system && mkdir -p "$root/$folder" ;;
        esac
        printf '%s\n' '[Service]' "User=user-$count" 'ExecStart=/bin/cat' >"$root/$folder/found.service"
        drop_in found
        expect "a unit in $folder" [ "$status:$errors" = 0: ]
        has "a unit in $folder counts" "# It runs as user-$count, not as root. Capabilities of the \
program's file would switch LD_PRELOAD off;"
    done
    find "$root" -name found.service -exec rm {} +
}

# What is printed for an image has the paths that are seen in it, wherever the image is.
test_image() {
    image=$scratch/image
    for folder in /usr/lib/any-linux-gnu:/usr/bin /usr/local/lib:/usr/local/bin; do
        preload=${folder%:*}/${library##*/}
        rm -rf "$image"
        mkdir -p "$image${folder%:*}" "$image/etc/systemd/system"
        printf '%s\n' '[Service]' 'ExecStart=/bin/cat' >"$image/etc/systemd/system/plain.service"
        cp "$library" "$image$preload"
        for below in "$image" "$image/" "$image/usr/.."; do
            mlock systemd --root "$below" plain
            expect "no diagnostics for --root $below" [ "$status:$errors" = 0: ]
            has "$below" "Environment=LD_PRELOAD=$preload"
            has "$below" "#ExecStartPost=+${folder#*:}/duende-mlock status \$MAINPID"
            expect "nothing of the host's: $below" lacks "$output" "$scratch"
        done
        mlock systemd --root "$image" --library "$preload" plain
        has "a library by name" "Environment=LD_PRELOAD=$preload"
        expect "is found in the image" [ "$status:$errors" = 0: ]
    done
    mkdir -p "$image/usr/bin" && touch "$image/usr/bin/duende-mlock"
    mlock systemd --root "$image" plain
    cp "$scratch/output" "$scratch/absolute"
    has "the command is where it is" "#ExecStartPost=+/usr/bin/duende-mlock status \$MAINPID"
    mkdir "$image/opt" && cp "$command" "$image/opt/duende-mlock"
    output=$("$image/opt/duende-mlock" systemd --root "$image" plain)
    has "the command that runs counts first" "#ExecStartPost=+/opt/duende-mlock status \$MAINPID"
    (cd "$scratch" && "$command" systemd --root image plain) >"$scratch/relative"
    expect "a relative root" cmp -s "$scratch/absolute" "$scratch/relative"
    mlock systemd --root / --library "$library" no-such-unit
    has "the machine's own root" "#ExecStartPost=+$command status \$MAINPID"
    mlock systemd --root "$image" --library "$library" plain
    expect "the host's library is not the image's" contains "$errors" \
        "there is no library $library in $image"
    mlock systemd --root "$scratch/nowhere" plain
    expect "no such root" [ "$status" = 2 ]
}

test_install() {
    unit plain.service 'User=nobody' 'ExecStart=/bin/cat'
    file=$root/etc/systemd/system/plain.service.d/50-duende-mlock.conf
    rm -f "$file"
    drop_in --required plain
    printf '%s\n' "$output" >"$scratch/printed"
    expect "printing installs nothing" [ ! -e "$file" ]
    drop_in --required plain --install
    expect "installing says where" contains "$output" "$file"
    expect "what is printed is installed" cmp -s "$scratch/printed" "$file"
    drop_in --required plain --install
    expect "and again" cmp -s "$scratch/printed" "$file"
    expect "without leaving anything" [ "$(ls -A "${file%/*}")" = "${file##*/}" ]
}

# several UNIT...: installed, once more, and taken away again
test_several() {
    unit one.service 'ExecStart=/bin/cat'
    unit two.service 'User=nobody' 'ExecStart=/bin/cat'
    etc=$root/etc/systemd/system
    one=$etc/one.service.d/50-duende-mlock.conf two=$etc/two.service.d/50-duende-mlock.conf
    drop_in one two
    expect "each is printed" [ "$(printf '%s\n' "$output" | grep -c '^\[Service\]')" = 2 ]
    drop_in --install --dry-run one two
    expect "nothing is done" [ ! -e "$one" ]
    has "said" "Would install $two"
    has "shown" "AmbientCapabilities=CAP_IPC_LOCK"
    drop_in --install one missing two
    expect "all of them or none" [ "$status:$(ls -d "$etc"/one.service.d 2>/dev/null)" = 1: ]
    drop_in --install one two
    expect "both" [ "$status:$errors" = 0: ]
    has "both" "Installed $one"
    has "both" "It counts from the next start: systemctl restart one.service two.service"
    inode=$(stat -c %i "$one")
    drop_in --install two one
    expect "the same again changes nothing" [ "$output:$(stat -c %i "$one")" = "Unchanged $two
Unchanged $one:$inode" ]
    drop_in --install --required one two
    has "other settings do" "Installed $two"
    mlock systemd --list --root "$root"
    for name in one two; do
        has "listed" "$name.service"
    done
    hasnt "not listed" plain.service.d
    drop_in --remove --dry-run one
    expect "still there" [ -e "$one" ]
    has "said" "Would remove $one"
    echo '# mine' >"$etc/two.service.d/60-mine.conf"
    drop_in --remove one two
    expect "gone, with its folder" [ "$status:$(ls -d "$etc"/one.service.d 2>/dev/null)" = 0: ]
    expect "what is somebody else's stays" [ "$(ls "$etc/two.service.d")" = 60-mine.conf ]
    drop_in --remove one two
    expect "and again" [ "$status" = 0 ]
    has "nothing there" "Nothing at $one"
    printf '[Service]\n' >"$two"
    for verb in --install --remove; do
        drop_in "$verb" two
        expect "$verb: not one of this command's" [ "$status:$(cat "$two")" = '1:[Service]' ]
        expect "$verb: says so" contains "$errors" "$two was not written by this command"
    done
    rm "$two"
}

# One for all, of which it names some.
test_all_services() {
    unit one.service 'ExecStart=/bin/cat'
    unit two.service 'ExecStart=/bin/tac'
    file=$root/etc/systemd/system/service.d/50-duende-mlock.conf
    drop_in --install --all-services --only cat:dog
    expect "installed" [ "$status:$errors" = 0: ]
    output=$(cat "$file")
    has "names" Environment=DUENDE_MLOCK_ONLY=cat:dog
    has "the library" "Environment=LD_PRELOAD=$library"
    has "the limit" LimitMEMLOCK=infinity
    hasnt "nothing for one service alone" OOMScoreAdjust
    mlock systemd --list --root "$root"
    has "that one" one.service
    hasnt "not that one" two.service
    drop_in nowhere
    expect "it makes no unit" contains "$errors" "there is no unit nowhere.service"
    drop_in --install one --only other
    mlock systemd --list --root "$root"
    hasnt "its own takes the place of that for all" one.service
    drop_in --remove one
    drop_in --remove --all-services
    expect "gone" [ ! -e "${file%/*}" ]
}

run_tests test_plain test_store test_user test_bounding_set test_surroundings test_folders test_image \
    test_install test_several test_all_services

# systemd's own opinion of the lines
if command -v systemd-analyze >/dev/null && mkdir -p "$scratch/verify"; then
    unit all.service 'ExecStart=/bin/cat' 'User=nobody' 'SystemCallFilter=@system-service' \
        'RestrictRealtime=yes' 'RootDirectory=/' 'CapabilityBoundingSet=CAP_CHOWN'
    drop_in --swap-device --only='a b' all
    cp "$units/all.service" "$scratch/verify/"
    mkdir "$scratch/verify/all.service.d"
    printf '%s\n' "$output" >"$scratch/verify/all.service.d/x.conf"
    errors=$(systemd-analyze verify "$scratch/verify/all.service" 2>&1 | grep x.conf)
    expect "systemd-analyze finds nothing in the drop-in" [ -z "$errors" ]
    echo 'NoSuchSetting=1' >>"$scratch/verify/all.service.d/x.conf"
    errors=$(systemd-analyze verify "$scratch/verify/all.service" 2>&1 | grep x.conf)
    expect "it did look at it" [ -n "$errors" ]
fi
finish
