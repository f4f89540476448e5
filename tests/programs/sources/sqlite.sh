# SPDX-License-Identifier: MIT OR Apache-2.0
# A database that is written and read through a mapping, in both journal modes.
for mode in delete wal; do
	sqlite3 "$mode.db" <<-END
		PRAGMA journal_mode=$mode;
		PRAGMA mmap_size=268435456;
		PRAGMA synchronous=off;
		CREATE TABLE numbers(value INTEGER, text TEXT);
		WITH RECURSIVE count(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM count WHERE n < 50000)
			INSERT INTO numbers SELECT n, hex(zeroblob(n % 50)) FROM count;
		CREATE INDEX by_value ON numbers(value);
		SELECT sum(value), sum(length(text)) FROM numbers;
		DELETE FROM numbers WHERE value % 2;
		VACUUM;
		PRAGMA integrity_check;
	END
done
sqlite3 wal.db 'SELECT count(*) FROM numbers'
