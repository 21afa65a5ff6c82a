-- One row, also for a day without records. Every map's values sum to total_requests.
WITH facts AS (
  SELECT
    coalesce(device, '(none)') AS device,
    coalesce(request_type, '(none)') AS request_type,
    coalesce(CAST(status_code AS STRING), '(none)') AS status,
    coalesce(app_name, '(none)') AS app_name,
    coalesce(status_code >= 400, FALSE) OR coalesce(level IN ('ERROR', 'CRITICAL', 'FATAL'), FALSE) AS failed,
    count(*) AS requests
  FROM distinct_records
  GROUP BY 1, 2, 3, 4, 5
),
totals AS (
  SELECT
    CAST(coalesce(sum(requests), 0) AS BIGINT) AS requests,
    CAST(coalesce(sum(CASE WHEN failed THEN requests END), 0) AS BIGINT) AS errors
  FROM facts
),
clients AS (
  SELECT count(DISTINCT ip_address) AS unique_ips FROM distinct_records
),
devices AS (
  SELECT map_from_entries(array_sort(collect_list(struct(name, requests)))) AS counts
  FROM (SELECT device AS name, CAST(sum(requests) AS BIGINT) AS requests FROM facts GROUP BY device) AS g
),
types AS (
  SELECT map_from_entries(array_sort(collect_list(struct(name, requests)))) AS counts
  FROM (SELECT request_type AS name, CAST(sum(requests) AS BIGINT) AS requests FROM facts GROUP BY request_type) AS g
),
statuses AS (
  SELECT map_from_entries(array_sort(collect_list(struct(name, requests)))) AS counts
  FROM (SELECT status AS name, CAST(sum(requests) AS BIGINT) AS requests FROM facts GROUP BY status) AS g
),
apps AS (
  SELECT map_from_entries(array_sort(collect_list(struct(name, requests)))) AS counts
  FROM (SELECT app_name AS name, CAST(sum(requests) AS BIGINT) AS requests FROM facts GROUP BY app_name) AS g
)
SELECT
  totals.requests AS total_requests,
  totals.errors AS total_errors,
  clients.unique_ips AS unique_ips,
  devices.counts AS requests_by_device,
  types.counts AS requests_by_type,
  statuses.counts AS requests_by_status,
  apps.counts AS requests_by_app,
  CASE
    WHEN totals.requests = 0 THEN CAST(0 AS DOUBLE)
    ELSE CAST(totals.errors AS DOUBLE) / CAST(totals.requests AS DOUBLE)
  END AS error_rate,
  run.day_of_week AS day_of_week,
  run.run_id AS run_id
FROM totals
CROSS JOIN clients
CROSS JOIN devices
CROSS JOIN types
CROSS JOIN statuses
CROSS JOIN apps
CROSS JOIN run
