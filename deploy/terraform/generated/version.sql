SELECT 'users' AS view_name, 'd6099a1dc8c94390 ${timezone}' AS version
UNION ALL SELECT 'sessions' AS view_name, 'f0dfce83c54083cf ${timezone}' AS version
UNION ALL SELECT 'user_days' AS view_name, '48e19ab044656bbc ${timezone}' AS version
UNION ALL SELECT 'daily' AS view_name, '8fa610ee363fb751 ${timezone}' AS version
UNION ALL SELECT 'event_rows' AS view_name, '8e7d2a8b3b3a9a42 ${timezone}' AS version
UNION ALL SELECT 'events' AS view_name, 'bf49c08ba7d691e7 ${timezone}' AS version
UNION ALL SELECT 'dead_letters' AS view_name, 'f7999d2c5ff20ed0 ${timezone}' AS version
