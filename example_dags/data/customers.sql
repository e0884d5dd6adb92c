-- Made-up customers for twilio_people.py: every third has not ordered for half a year, every other is in Lisbon.
-- One of those cannot be reached over RCS, and gets an SMS.
DROP TABLE IF EXISTS customers CASCADE;
CREATE TABLE customers (
    id integer PRIMARY KEY,
    phone varchar(20) NOT NULL,
    first_name varchar(50) NOT NULL,
    city varchar(50) NOT NULL,
    last_order date NOT NULL,
    profile_id varchar(60)
);
INSERT INTO customers (id, phone, first_name, city, last_order)
SELECT n,
       CASE WHEN n = 6 THEN '+12025559337' ELSE '+1202' || lpad((5600000 + n)::text, 7, '0') END,
       (ARRAY['Ada', 'Grace', 'Alan', 'Edsger', 'Barbara', 'Donald', 'Radia'])[1 + n % 7],
       CASE WHEN n % 2 = 0 THEN 'Lisbon' ELSE 'Porto' END,
       current_date - CASE WHEN n % 3 = 0 THEN 200 ELSE 20 END
FROM generate_series(1, 120) AS n;
DROP TABLE IF EXISTS campaign_receipts;
