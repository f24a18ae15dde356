import { PubsubPublisher } from '../../src/transport/pubsub/publisher.ts';
import { bigqueryOptions, pubsubOptions } from '../../src/drivers.ts';
import { EventLines } from '../../src/event/lines.ts';
import { BigqueryWarehouse } from '../../src/warehouse/bigquery/warehouse.ts';
import { describeWarehouse } from '../../src/warehouse/conformance.ts';
import { describeWith } from './engines/engines.ts';
import { startGoogle } from './google.ts';

/* The same promises and the same golden numbers as every warehouse, through Google's own client. */

describeWith(['pstest', 'bqemulator'], 'BigQuery', () => {
  describeWarehouse('BigQuery', async () => {
    const google = await startGoogle();
    await google.provision();
    await google.deliver();
    return {
      make: async (timezone = 'UTC') => {
        await google.provision({ DAYBOOK_TIMEZONE: timezone });
        return new BigqueryWarehouse({ ...bigqueryOptions(google.config), timezone });
      },
      endless:
        'SELECT COUNT(*) AS n FROM UNNEST(GENERATE_ARRAY(1, 20000)) AS a, UNNEST(GENERATE_ARRAY(1, 20000)) AS b ' +
        'WHERE MOD(a * b, 7) = 3',
      deliver: async (lines) => {
        const publisher = new PubsubPublisher(pubsubOptions(google.config));
        await publisher.open();
        await publisher.publish(EventLines.of(lines));
        await publisher.close();
        await google.delivered();
      },
      // The engines end with the test.
      cleanUp: () => Promise.resolve(),
    };
  });
});
