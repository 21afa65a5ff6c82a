-- A JSON value as text, as Spark 3.5 reads it into a string column. Spark's parser (Jackson) writes what is not a
-- string anew: numbers with a fraction as Java spells a double, other values without blanks, and in them characters
-- beyond U+FFFF as two escapes. DuckDB writes such values anew, too, but spells them in its own way.
-- Left out: numbers with a fraction or a power from 2^63 to 10^26, for some of which Java 17 writes more digits than it
-- takes to tell them from their neighbours (JDK-4511638). Columns of numbers have the same values all the same.
--
-- DuckDB puts a macro's argument wherever the macro mentions it. `list_transform([value], lambda name: ...)[1]` gives
-- a value a name instead: without that, binding these would take longer than running them.

-- From 2^53 to 2^63 Java 17 writes a double's whole number, but for the last one or two digits of the largest.
CREATE OR REPLACE TEMP MACRO java_long(v) AS
  list_transform(
    [TRY_CAST(v AS DOUBLE)],
    lambda x: CASE WHEN abs(x) >= 9007199254740992 AND abs(x) < 9223372036854775808
      THEN if(x < 0, '-', '') || list_transform(
        [CAST(abs(x) AS HUGEINT)],
        lambda n: CASE
          WHEN n >= 2305843009213693952 THEN (n + 50) // 100 * 100
          WHEN n >= 288230376151711744 THEN (n + 5) // 10 * 10
          ELSE n
        END
      )[1]
      ELSE v END
  )[1];

-- A number with a fraction or a power: 1e22 is 1.0E22, 0.0001 is 1.0E-4, 12345678.5 is 1.23456785E7.
CREATE OR REPLACE TEMP MACRO java_number(v) AS
  list_transform(
    [regexp_extract(java_long(v), '^(-?)0*([0-9]*)[.]?([0-9]*)[eE]?[+]?(-?[0-9]*)$', ['minus', 'whole', 'fraction', 'power'])],
    lambda n: n.minus || list_transform(
      [{
        'digits': trim(n.whole || n.fraction, '0'),
        'power': coalesce(TRY_CAST(n.power AS BIGINT), 0)
          + if(n.whole = '', strlen(ltrim(n.fraction, '0')) - strlen(n.fraction), strlen(n.whole)) - 1
      }],
      lambda d: CASE
        WHEN d.digits = '' THEN '0.0'
        WHEN d.power BETWEEN -3 AND -1 THEN '0.' || repeat('0', -d.power - 1) || d.digits
        WHEN d.power BETWEEN 0 AND 6 THEN d.digits[1:d.power + 1] || repeat('0', d.power + 1 - strlen(d.digits))
          || '.' || coalesce(nullif(d.digits[d.power + 2:], ''), '0')
        ELSE d.digits[1:1] || '.' || coalesce(nullif(d.digits[2:], ''), '0') || 'E' || d.power
      END
    )[1]
  )[1];

-- Characters beyond U+FFFF as two escapes each.
CREATE OR REPLACE TEMP MACRO jackson_string(token) AS
  array_to_string(
    list_transform(
      regexp_extract_all(token, '[\x{10000}-\x{10FFFF}]|[^\x{10000}-\x{10FFFF}]+'),
      lambda c: CASE WHEN regexp_matches(c, '^[\x{10000}-\x{10FFFF}]')
        THEN format('\u{:04X}\u{:04X}', 55232 + (unicode(c) >> 10), 56320 + (unicode(c) & 1023)) ELSE c END
    ),
    ''
  );

-- An object or array token by token: strings, numbers, and what is between them.
CREATE OR REPLACE TEMP MACRO jackson_nested(v) AS
  array_to_string(
    list_transform(
      regexp_extract_all(v, '"(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*|[^"0-9-]+'),
      lambda token: CASE
        WHEN starts_with(token, '"') THEN jackson_string(token)
        WHEN regexp_matches(token, '^-?[0-9]+[.eE]') THEN java_number(token)
        ELSE token
      END
    ),
    ''
  );

-- What nearly all values are, in the fewest steps: text, and what both engines spell alike. Others stay JSON, behind
-- a NUL; so does text that holds one.
CREATE OR REPLACE TEMP MACRO plain_text(v) AS
  CASE
    WHEN starts_with(v, '"') THEN CASE
      WHEN NOT contains(v, '\') THEN substring(v, 2, length(v) - 2)
      WHEN contains(v, '\u0000') THEN chr(0) || v
      ELSE json_extract_string(v, '$')
    END
    WHEN regexp_matches(v, '^(-?([0-9]+|[1-9][0-9]{0,6}[.][0-9]{1,8}|0[.](0|0{0,2}[1-9][0-9]{0,8}))|true|false)$') THEN v
    WHEN regexp_matches(v, '^[[{]') AND NOT regexp_matches(v, '[0-9][.eE]|[\x{10000}-\x{10FFFF}]') THEN v
    WHEN v <> 'null' THEN chr(0) || v
  END;

-- The others.
CREATE OR REPLACE TEMP MACRO odd_text(v) AS
  CASE
    WHEN starts_with(v, '"') THEN json_extract_string(v, '$')
    WHEN regexp_matches(v, '^[[{]') THEN jackson_nested(v)
    ELSE java_number(v)
  END;

-- What `plain_text` has given, as text.
CREATE OR REPLACE TEMP MACRO settled_text(t) AS CASE WHEN starts_with(t, chr(0)) THEN odd_text(t[2:]) ELSE t END;

-- What an object, or text that looks like one, has at a path; null if it is cut.
CREATE OR REPLACE TEMP MACRO nested_text(t, path) AS
  list_transform(
    [ltrim(t, chr(0))],
    lambda v: CASE WHEN starts_with(v, '{') AND json_valid(v)
      THEN list_transform([plain_text(CAST(json_extract(v, path) AS VARCHAR))], lambda p: settled_text(p))[1] END
  )[1];
