-- title: Top clients
-- description: Who asked most often on a day: records, errors and applications of each address. A record counts as often as in gold: as often as the file that holds it most often holds it.
-- param: date date yesterday
-- param: date date yesterday
-- param: date date yesterday
-- param: most bigint 20
SELECT
  ip_address,
  requests,
  errors,
  apps
FROM (
  SELECT
    clients.*,
    row_number() OVER (ORDER BY requests DESC, ip_address) AS place
  FROM (
    SELECT
      ip_address,
      CAST(sum(copies) AS bigint) AS requests,
      CAST(sum(CASE WHEN failed THEN copies ELSE 0 END) AS bigint) AS errors,
      count(DISTINCT app_name) AS apps
    FROM (
      SELECT
        log_id,
        ip_address,
        app_name,
        failed,
        max(copies) AS copies
      FROM (
        SELECT
          log_id,
          source_file,
          ip_address,
          app_name,
          coalesce(status_code >= 400, FALSE) OR coalesce(level IN ('ERROR', 'CRITICAL', 'FATAL'), FALSE) AS failed,
          count(*) AS copies
        FROM logs
        WHERE year = substr(?, 1, 4) AND month = substr(?, 6, 2) AND day = substr(?, 9, 2)
          AND ip_address IS NOT NULL
        GROUP BY 1, 2, 3, 4, 5
      ) AS by_file
      GROUP BY log_id, ip_address, app_name, failed
    ) AS counted
    GROUP BY ip_address
  ) AS clients
) AS placed
WHERE place <= CAST(? AS bigint)
ORDER BY place
