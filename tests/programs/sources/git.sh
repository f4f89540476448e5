# SPDX-License-Identifier: MIT OR Apache-2.0
# A repository from nothing: git runs itself, maps its packs, counts its children's output.
export GIT_AUTHOR_DATE='2024-01-01T00:00:00Z' GIT_COMMITTER_DATE='2024-01-01T00:00:00Z'
export GIT_CONFIG_NOSYSTEM=1
git init -q -b main repository && cd repository || exit
git config user.name tester
git config user.email tester@localhost
for number in 1 2 3 4 5; do
	seq 1 "${number}000" >file
	git add file
	git commit -q -m "change $number"
done
git gc -q
git fsck --full
git log --format='%H %s' --stat
git clone -q . ../clone && git -C ../clone log -p | sha1sum
