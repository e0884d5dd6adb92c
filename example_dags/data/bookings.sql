-- What twilio_sql_reminders.py and twilio_backfill.py read: bookings, 200 of them today and each day around it.
-- psql "$DATABASE" -f bookings.sql, and name the database in the connection `bookings`.
DROP TABLE IF EXISTS bookings, do_not_text, reminder_receipts;

CREATE TABLE bookings (
    id        bigserial PRIMARY KEY,
    phone     text NOT NULL,
    guest     text,
    party     integer NOT NULL,
    starts_at timestamp NOT NULL
);

INSERT INTO bookings (phone, guest, party, starts_at)
SELECT
    '+1212' || lpad((3000000 + n * 37 + day * 10007)::text, 7, '0'),
    CASE WHEN n % 9 > 0 THEN (ARRAY['Ines', 'Jonas', 'Mei', 'Tomas', 'Zoe'])[1 + n % 5] END,
    1 + n % 6,
    (now() AT TIME ZONE 'UTC')::date + day + make_interval(hours => 18 + n % 4)
FROM generate_series(-1, 1) AS day, generate_series(1, 200) AS n
ORDER BY day, n;

CREATE INDEX ON bookings (starts_at, id);

CREATE TABLE do_not_text (phone text PRIMARY KEY);

INSERT INTO do_not_text SELECT phone FROM bookings WHERE id % 50 = 0;
