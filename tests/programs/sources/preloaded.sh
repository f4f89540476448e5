# SPDX-License-Identifier: MIT OR Apache-2.0
# preloaded.sh first|last|without COMMAND...: the library before what is preloaded already, or after.
order=$1
shift
case $order in
first) export LD_PRELOAD="$LIBRARY${LD_PRELOAD:+:$LD_PRELOAD}" ;;
last) export LD_PRELOAD="${LD_PRELOAD:+$LD_PRELOAD:}$LIBRARY" ;;
esac
exec "$@"
